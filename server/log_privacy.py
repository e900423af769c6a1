"""The second line of defence of the log: it is to hold no content, and what it holds all the same, no personal data.

Lines that end a request are left as they are: their fields are the server's own, and a caller may well be known by an
e-mail address.
"""

import logging

from retrieval.personal.redact import redact


class PersonalDataFilter(logging.Filter):
    """For a handler: replaces personal data in the message, and in an exception that is already spelled."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through. A message that cannot be spelled is left to the handler, which says so."""
        if hasattr(record, "facts"):
            return True
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            return True
        if (safe := redact(said).text) != said:
            record.msg, record.args = safe, None
        if record.exc_text:
            record.exc_text = redact(record.exc_text).text
        return True
