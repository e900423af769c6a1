"""E-mail as it is read: who, when, about what, the text, and the names of what is attached."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage, MIMEPart
from pathlib import Path

from retrieval.composer import Composer
from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.markup import read_html
from retrieval.parsed import Parsed
from retrieval.visible import clean, one_line

_HEADERS = ("From", "To", "Cc", "Date")


def read_mail(path: Path, data: bytes, limits: Limits) -> Parsed:
    """The message, titled by its subject.

    Raises:
        DocumentRefused: it is no e-mail, or holds too much.
    """
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage), "the default policy makes these"
    if not any(name in message for name in (*_HEADERS, "Subject")):
        raise DocumentRefused(
            path, "it is no e-mail: it has neither sender, date nor subject; name it *.txt if it is text"
        )
    composer = Composer(path, limits)
    subject = one_line(_header(message, "Subject"))
    composer.add(subject, level=1)
    composer.add("\n".join(f"{name}: {value}" for name in _HEADERS if (value := one_line(_header(message, name)))))
    attached = []
    for part in _shown(message):
        if not _is_text(part):
            attached.append(one_line(part.get_filename() or part.get_content_type()))
            continue
        text = _content(part)
        if part.get_content_subtype() == "html":
            seen, unseen = clean(text)
            page = read_html(seen)
            composer.strip(unseen + page.stripped)
            text = page.text
        for paragraph in text.replace("\r\n", "\n").split("\n\n"):
            composer.add(paragraph)
    if attached:
        composer.add("Attached, and not read: " + ", ".join(attached))
    return composer.parsed(subject)


def _shown(part: MIMEPart) -> Iterator[MIMEPart]:
    """The parts of a message in the order of reading, of alternatives the plainest."""
    if part.is_attachment() or part.get_content_maintype() != "multipart" or not part.is_multipart():
        yield part
        return
    held = [inner for inner in part.iter_parts() if isinstance(inner, MIMEPart)]
    shown = [list(_shown(inner)) for inner in held]
    if part.get_content_subtype() == "alternative":
        shown = sorted(shown, key=_plainness)[:1]
    for parts in shown:
        yield from parts


def _plainness(parts: list[MIMEPart]) -> int:
    kinds = {part.get_content_subtype() for part in parts if _is_text(part)}
    return 0 if "plain" in kinds else 1 if "html" in kinds else 2


def _is_text(part: MIMEPart) -> bool:
    return not part.is_attachment() and part.get_content_type() in ("text/plain", "text/html")


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name, ""))
    except (AttributeError, IndexError, TypeError, ValueError):  # what the parser makes of malformed headers
        return ""


def _content(part: MIMEPart) -> str:
    charset = part.get_content_charset() or "utf-8"
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(charset, errors="replace")
    except LookupError:  # a charset that nobody knows
        return payload.decode("utf-8", errors="replace")
