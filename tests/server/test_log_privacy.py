"""server.log_privacy: what should never have been logged is not written either."""

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from server.log_privacy import PersonalDataFilter
from server.logs import JsonLines


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
    facts = {"id": "4111111111111111", "caller": "user:jane@mail.example", "route": "/x", "status": 200}
    spelled = " ".join(f"{name}={value}" for name, value in facts.items())

    logging.getLogger("private").warning("request %s", spelled, extra={"facts": facts})

    assert written.getvalue() == "request id=[CARD] caller=user:jane@mail.example route=/x status=200\n"


def test_an_id_that_is_a_uuid_stays_though_a_part_of_it_reads_as_a_number_of_somebody(written: StringIO) -> None:
    facts = {"id": "89516ad2-0546-404b-be65-cb3e9e5ec5b6", "caller": "user:ann", "outcome": "jane@mail.example"}
    spelled = " ".join(f"{name}={value}" for name, value in facts.items())

    logging.getLogger("private").warning("request %s", spelled, extra={"facts": facts})

    assert written.getvalue() == f"request {spelled}\n".replace("jane@mail.example", "[E-MAIL]")


def test_the_fields_of_a_line_are_gone_over_like_its_message(written: StringIO) -> None:
    handler = logging.getLogger("private").handlers[0]
    handler.setFormatter(JsonLines())
    facts = {"caller": "user:jane@mail.example", "outcome": "jane@mail.example", "status": 200}

    logging.getLogger("private").warning("request", extra={"facts": facts})

    line = json.loads(written.getvalue())
    assert (line["caller"], line["outcome"], line["status"]) == ("user:jane@mail.example", "[E-MAIL]", 200)
