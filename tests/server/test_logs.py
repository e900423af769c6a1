"""The log: one line for each request, and nothing of what was asked, answered or used to sign in."""

import logging
import re
from pathlib import Path

import pytest

from hrm_model.errors import EngineError
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
