"""E-mail as it is read: who, when, about what, the text, and the names of what is attached."""

import email
import email.policy
import re
from collections.abc import Iterable
from email.message import EmailMessage, MIMEPart
from pathlib import Path

from retrieval.composer import Composer
from retrieval.errors import DocumentRefused
from retrieval.limits import Limits
from retrieval.markup import read_html
from retrieval.parsed import Parsed
from retrieval.visible import clean, one_line

_HEADERS = ("From", "To", "Cc", "Date")
_WORD = re.compile(r"\w+")
_ADDRESS = re.compile(r"(?:https?://|mailto:)[^\s<>]+")  # plain text spells out what a page links to


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
    attached, words = [], set()
    shown, passed_over = _shown(message)
    for part in shown:
        if not _is_text(part):
            attached.append(one_line(part.get_filename() or part.get_content_type()))
            continue
        text, unseen = _text(part)
        composer.strip(unseen)
        words.update(_words(text))
        for paragraph in text.replace("\r\n", "\n").split("\n\n"):
            composer.add(paragraph)
    for part in filter(_is_text, passed_over):
        composer.strip(sum(len(word) for word in _words(_text(part)[0]) if word not in words))
    if attached:
        composer.add("Attached, and not read: " + ", ".join(attached))
    return composer.parsed(subject)


def _shown(part: MIMEPart) -> tuple[list[MIMEPart], list[MIMEPart]]:
    """The parts of a message that its reader sees, in their order, and the alternatives to them."""
    if part.is_attachment() or part.get_content_maintype() != "multipart" or not part.is_multipart():
        return [part], []
    held = [_shown(inner) for inner in part.iter_parts() if isinstance(inner, MIMEPart)]
    passed_over = [each for _, others in held for each in others]
    if part.get_content_subtype() == "alternative" and held:
        # Mail programs show a page where there is one; of two that are alike the last, as it is the richest.
        best = max(range(len(held)), key=lambda at: (_richness(held[at][0]), at))
        passed_over += [each for at, (parts, _) in enumerate(held) if at != best for each in parts]
        held = [held[best]]
    return [each for parts, _ in held for each in parts], passed_over


def _richness(parts: Iterable[MIMEPart]) -> int:
    kinds = {part.get_content_subtype() for part in parts if _is_text(part)}
    return 2 if "html" in kinds else 1 if "plain" in kinds else 0


def _text(part: MIMEPart) -> tuple[str, int]:
    """What a part says, and how many characters of it nobody sees."""
    text = _content(part)
    if part.get_content_subtype() != "html":
        return text, 0
    seen, unseen = clean(text)
    page = read_html(seen)
    return page.text, unseen + page.stripped


def _words(text: str) -> list[str]:
    return _WORD.findall(_ADDRESS.sub(" ", text).casefold())


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
