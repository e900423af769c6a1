"""The log: one line for each request, and nothing of what was asked, answered or used to sign in."""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from io import StringIO
from pathlib import Path

import pytest

from hrm_model.errors import EngineError
from server.logs import configure
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import client_of, question, services, stocked

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "server.logs"]


async def test_a_request_is_one_line_at_its_end(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    engine = ScriptedEngine("28 days.")
    given = services(engine, await stocked(tmp_path, {"a.txt": "Leave is 28 days."}), default_store="handbook")
    with caplog.at_level(logging.INFO):
        async with client_of(given) as client:
            response = await client.post(CHAT, json=question("leave", stream=True))

    (line,) = lines(caplog)
    expected = (
        rf"request id={response.headers['x-request-id']} caller=user:ann key=key_1 method=POST route={CHAT} status=200 "
        r"prompt_tokens=\d\d completion_tokens=2 seconds=\d+\.\d{3} outcome=supported"
    )
    assert re.fullmatch(expected, line)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fails", [False, True])
async def test_the_log_knows_neither_prompts_nor_answers_nor_keys(
    caplog: pytest.LogCaptureFixture, stream: bool, fails: bool
) -> None:
    engine = ScriptedEngine("canary-answer", " x", failure=EngineError("canary-error") if fails else None, fail_after=1)
    body = question(
        "canary-prompt",
        stream=stream,
        user="canary-user",
        documents=[{"title": "canary-title", "text": "canary-document"}],
    )
    with caplog.at_level(logging.DEBUG, logger="server"):
        async with client_of(services(engine)) as client:
            await client.post(CHAT, json=body)
            await client.post(CHAT, json={**body, "canary-field": 1, "stream": "canary-value"})
            await client.post(CHAT, json=body, headers={"Authorization": "Bearer canary-key"})
            await client.get("/canary-path?q=canary-query")

    assert len(lines(caplog)) == 4
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("trace-1.a_B", True), ("x" * 65, False), ("two words", False), ("", False), ("a\tb", False)],
)
async def test_a_clients_own_id_is_kept_when_it_is_harmless(sent: str, kept: bool) -> None:
    async with client_of(services(), key=None) as client:
        response = await client.get("/livez", headers={"x-request-id": sent})

    assert (response.headers["x-request-id"] == sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", response.headers["x-request-id"])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("DE89370400440532013000", False),
        ("4111111111111111", False),
        ("order-4111.1111.1111.1111", False),
        ("bill_DE89-3704-0044-0532-0130-00", False),
        ("tel_030-12345678", False),
        ("756.9217.0769.85", False),
        ("4111111111111112", True),  # no card has this check digit
        ("2025-11-29_order-1234567", True),
        ("caaef660-0438-4766-91ca-cc8393001dfe", True),  # two of its groups read as a phone number, by chance
        ("req_0123456789abcdef0123456789abcdef", True),
    ],
)
async def test_an_id_that_tells_of_somebody_is_not_taken(
    sent: str, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "server.logs"):
        async with client_of(services(ScriptedEngine("ok"))) as client:
            response = await client.post(CHAT, json=question(), headers={"x-request-id": sent})

    given = response.headers["x-request-id"]
    assert (given == sent) is kept
    assert kept or re.fullmatch(r"req_[0-9a-f]{32}", given)
    assert f"id={given} " in lines(caplog)[0]


async def test_every_response_has_an_id_of_its_own() -> None:
    async with client_of(services()) as client:
        responses = [
            await client.get("/livez"),
            await client.get("/nowhere"),
            await client.post(CHAT, json={}),
            await client.post(CHAT, json=question()),
            await client.post(CHAT, json=question(), headers={"Authorization": "x"}),
        ]

    assert len({response.headers["x-request-id"] for response in responses}) == len(responses)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """What a serving command would write to standard error."""
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    for owner, hook in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(owner, hook, getattr(owner, hook))
    root = logging.getLogger()
    before, level, root.handlers = root.handlers, root.level, []
    configure("INFO", request.param)
    yield stream
    root.handlers = before
    root.setLevel(level)


TEXT = pytest.mark.parametrize("written", ["text"], indirect=True)
JSON = pytest.mark.parametrize("written", ["json"], indirect=True)
EITHER = pytest.mark.parametrize("written", ["text", "json"], indirect=True)


BROUGHT = [{"title": "Leave", "text": "Leave is 28 days."}]


class Telling(ScriptedEngine):
    """An engine that logs, once, in a thread of the request."""

    has_told = False

    def count(self, texts: Sequence[str]) -> list[int]:
        if not self.has_told:
            logging.getLogger("hrm_model.telling").warning("counting")
        self.has_told = True
        return super().count(texts)


@JSON
async def test_json_lines_have_a_requests_facts_as_fields_and_its_id_on_each_line(written: StringIO) -> None:
    async with client_of(services(Telling("ok"))) as client:
        await client.post(CHAT, json=question(documents=BROUGHT), headers={"x-request-id": "trace-1"})
    logging.getLogger("server.a").info("two\nlines")

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    within, ended, outside = [line for line in lines if line["logger"] != "httpx"]
    assert within["request_id"] == ended["request_id"] == "trace-1"
    assert (within["logger"], within["level"], within["message"]) == ("hrm_model.telling", "warning", "counting")
    assert (ended["message"], ended["route"], ended["status"], ended["caller"]) == ("request", CHAT, 200, "user:ann")
    assert isinstance(ended["seconds"], float)
    assert datetime.fromisoformat(ended["time"]).tzinfo is not None
    assert (outside["message"], "request_id" in outside) == ("two\nlines", False)


@TEXT
async def test_text_lines_have_the_id_of_their_request(written: StringIO) -> None:
    async with client_of(services(Telling("ok"))) as client:
        await client.post(CHAT, json=question(documents=BROUGHT), headers={"x-request-id": "trace-1"})

    within, ended, *_ = written.getvalue().splitlines()
    assert within.endswith(" WARNING hrm_model.telling [trace-1] counting")
    assert " INFO server.logs request id=trace-1 caller=user:ann " in ended


@EITHER
def test_an_exception_is_logged_by_kind_and_place_with_all_that_is_behind_it(written: StringIO) -> None:
    try:
        try:
            raise ValueError("canary-cause")
        except ValueError as error:
            raise ExceptionGroup("canary-group", [KeyError("canary-part")]) from error
    except ExceptionGroup:
        logging.getLogger("anybody").exception("it failed")

    said = written.getvalue()
    for kind in ("ExceptionGroup", "with KeyError", "from ValueError", "test_logs.py"):
        assert kind in said
    # Lines of code are shown, and in this test the code holds the canaries; values would come without the quotes.
    assert "canary-cause" not in said.replace('("canary-cause")', "").replace('(\\"canary-cause\\")', "")
    assert "canary-part" not in said.replace('("canary-part")', "").replace('(\\"canary-part\\")', "")


@EITHER
def test_errors_that_nobody_catches_are_logged_without_their_words(written: StringIO) -> None:
    secret = "-".join(("canary", "thread"))

    def fail() -> None:
        raise ValueError(secret)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)

    assert written.getvalue().count("an error that nothing handles: ValueError") == 2
    assert secret not in written.getvalue()


@EITHER
def test_personal_data_that_should_never_have_been_logged_is_not_written(written: StringIO) -> None:
    logging.getLogger("hrm_model.telling").warning("paid from %s", "DE89 3704 0044 0532 0130 00")

    assert "paid from [IBAN]" in written.getvalue()
    assert "0532" not in written.getvalue()
