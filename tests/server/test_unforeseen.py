"""What nobody foresaw: a 500 before a response, a broken connection within one, and never a word of it anywhere."""

import logging

import httpx
import pytest

from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import listening, question, services
from tests.fakes.shelf import Shelf

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
SECRET = "-".join(("canary", "fault"))  # so that no line of code holds it


class Broken(Shelf):
    """A store with a bug, whose words quote a document."""

    async def text(self, file_id: str, reader: object) -> str:
        raise KeyError(SECRET)


async def test_a_bug_in_a_route_is_a_500_that_is_logged_once_by_kind_and_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        async with listening(services(shelf=Broken())) as url, httpx.AsyncClient() as client:
            response = await client.get(f"{url}/v1/files/file-1/content", headers={"Authorization": "Bearer sk-ann"})

    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert caplog.text.count("failed: KeyError") == 1
    assert "test_unforeseen.py" in caplog.text
    assert SECRET not in caplog.text + response.text


async def test_a_bug_within_a_stream_ends_it_with_a_frame(caplog: pytest.LogCaptureFixture) -> None:
    engine = ScriptedEngine("a", "b", failure=KeyError(SECRET), fail_after=1)
    async with listening(services(engine)) as url, httpx.AsyncClient() as client:
        response = await client.post(
            f"{url}{CHAT}", json=question(stream=True), headers={"Authorization": "Bearer sk-ann"}
        )

    assert response.text.endswith('"code":"internal_error"}}\n\n')
    assert SECRET not in caplog.text + response.text
