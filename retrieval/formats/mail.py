"""E-mail as it is read: who, when, about what, the text, and the names of what is attached."""

import email
import email.policy
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
    body = message.get_body(preferencelist=("plain", "html"))
    if body is not None:
        text = _content(body)
        if body.get_content_subtype() == "html":
            seen, unseen = clean(text)
            page = read_html(seen)
            composer.strip(unseen + page.stripped)
            text = page.text
        for paragraph in text.replace("\r\n", "\n").split("\n\n"):
            composer.add(paragraph)
    attached = [one_line(part.get_filename() or part.get_content_type()) for part in message.iter_attachments()]
    if attached:
        composer.add("Attached, and not read: " + ", ".join(attached))
    return composer.parsed(subject)


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
