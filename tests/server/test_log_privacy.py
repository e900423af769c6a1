"""server.log_privacy: what should never have been logged is not written either."""

import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from server.log_privacy import PersonalDataFilter


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What a handler with the filter writes of the logger `private`."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(PersonalDataFilter())
    log = logging.getLogger("private")
    log.addHandler(handler)
    log.propagate = False
    yield stream
    log.removeHandler(handler)
    log.propagate = True


def test_a_value_is_replaced_whether_it_stands_in_the_message_or_in_its_arguments(written: StringIO) -> None:
    logging.getLogger("private").warning("jane@mail.example pays from %s", "DE89 3704 0044 0532 0130 00")

    assert written.getvalue() == "[E-MAIL] pays from [IBAN]\n"


def test_everything_else_is_written_as_it_came(written: StringIO) -> None:
    line = "request id=req_0123456789abcdef0123456789abcdef status=200 seconds=0.123 on 127.0.0.1:8000, 1,234,567 bytes"

    logging.getLogger("private").warning("%s", line)

    assert written.getvalue() == line + "\n"


def test_the_line_of_a_request_names_its_caller(written: StringIO) -> None:
    logging.getLogger("private").warning("request %s", "caller=user:jane@mail.example", extra={"facts": {}})

    assert written.getvalue() == "request caller=user:jane@mail.example\n"
