"""The client and hrm-ask against the server's own application, with a scripted engine behind it.

The stub of the other tests is written from the wire's description; these show that the server speaks that wire.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import openai
import pytest
import uvicorn
from hrm_client import AsyncHrmClient, Delta, Done, HrmClient, Sources
from hrm_client.request import StructuredOutputs
from hrm_client.terminal import main

from hrm_model.errors import EngineError
from retrieval.types import EVERYONE, Access, Reader
from server.app import create_app
from server.auth import Authentication
from server.deps import ModelCard, Policy, Services
from server.ledger import Ledger
from tests.fakes.engine import ScriptedEngine
from tests.fakes.meaning import WordsApart
from tests.fakes.serving import absent
from tests.fakes.shelf import Shelf

SAMPLES = Path(__file__).parents[2] / "server" / "samples"
SENTENCE = "Full-time staff at Tessenbrook receive 27 working days of annual leave per calendar year."
QUESTION = "How many working days of annual leave do full-time staff at Tessenbrook receive?"
README = (SAMPLES.parents[1] / "clients" / "python" / "README.md").read_text(encoding="utf-8")
PATIENCE_S = 10.0
LIBRARIAN = Reader(names=frozenset({"user:librarian"}), is_admin=True)


Serve = Callable[[ScriptedEngine], AbstractContextManager[str]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """No key yet, so that whoever is on this machine may ask."""
    found = Ledger(tmp_path / "ledger.db")
    yield found
    found.close()


@pytest.fixture
def serve(ledger: Ledger) -> Serve:
    """Run the application on a free port, with part of the handbook; the value is the address of its API."""
    shelf = asyncio.run(_handbook())

    @contextmanager
    def serving(engine: ScriptedEngine) -> Iterator[str]:
        services = Services(
            engine=engine,
            speller=engine,
            retriever=shelf,
            library=shelf,
            archive=absent,
            embedder=WordsApart,
            erasures=ledger.erasures,
            authenticate=Authentication(ledger, is_loopback=True),
            model=ModelCard("hrm-text-mini", created=1, context=4096),
            policy=Policy(default_store="handbook", heartbeat_s=0.05),
            ready=lambda: None,
        )
        server = uvicorn.Server(uvicorn.Config(create_app(services), port=0, log_config=None, ws="none"))
        thread = Thread(target=server.run)
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()

    return serving


async def _handbook() -> Shelf:
    shelf = Shelf()
    await shelf.create_store("handbook", LIBRARIAN, Access(read=(EVERYONE,)))
    for name in ("annual-leave.md", "expenses-and-travel.md"):
        await shelf.ingest(SAMPLES / name, store="handbook", reader=LIBRARIAN)
    return shelf


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE_S
    while not is_so():
        assert monotonic() < deadline, "waited too long"
        sleep(0.005)


def test_an_answer_is_cited_from_the_handbook(serve: Serve) -> None:
    with serve(ScriptedEngine("27 working", " days")) as url, HrmClient(url) as client:
        answer = client.ask(QUESTION)

    [citation] = answer.citations
    source = answer.source(citation)
    assert answer.grounding is not None
    assert answer.grounding.status == "supported"
    assert answer.text[citation.start_index : citation.end_index] == f"27 working days [{citation.number}]"
    assert citation.quote == SENTENCE
    assert source is not None
    assert source.filename == "annual-leave.md"
    assert SENTENCE in source.text
    assert source.url.startswith(f"{url}/files/")


def test_a_streamed_answer_is_equal_to_a_whole_one(serve: Serve) -> None:
    with serve(ScriptedEngine("27 working", " days", ". More 🎉.")) as url, HrmClient(url) as client:
        whole = client.ask(QUESTION, store="handbook", grounding="cite", max_passages=2, temperature=0.0)
        with client.stream(QUESTION, store="handbook", grounding="cite", max_passages=2) as parts:
            first, *deltas, last = list(parts)

    assert isinstance(last, Done)
    assert first == Sources(whole.sources)
    assert "".join(part.text for part in deltas if isinstance(part, Delta)) == whole.text
    assert (last.answer.text, last.answer.citations) == (whole.text, whole.citations)
    assert last.answer.grounding == whole.grounding
    # The second time the prompt is found again, which is all that its usage may say otherwise.
    assert last.answer.usage is not None
    assert whole.usage is not None
    once, again = whole.usage.model_dump(), last.answer.usage.model_dump()
    assert (once.pop("prompt_tokens_details"), again.pop("prompt_tokens_details")) != (None, None)
    assert once == again
    assert len(whole.sources) == 2


def test_strict_withholds_what_no_source_says(serve: Serve) -> None:
    with serve(ScriptedEngine("99 working days.")) as url, HrmClient(url) as client:
        answer = client.ask(QUESTION, grounding="strict")

    assert answer.grounding is not None
    assert (answer.grounding.status, answer.citations) == ("unsupported", ())
    assert "99" not in answer.text


def test_a_structured_answer_has_its_sources_or_is_a_refusal(serve: Serve) -> None:
    shape: StructuredOutputs = {"json": {"type": "object", "properties": {"days": {"type": "string"}}}}
    said = '{"days": "27 working days"}'
    with serve(ScriptedEngine(said)) as url, HrmClient(url) as client:
        found = client.ask(QUESTION, structured_outputs=shape)
    with serve(ScriptedEngine('{"days": "99"}')) as url, HrmClient(url) as client:
        refused = client.ask(QUESTION, structured_outputs=shape, grounding="strict")
        with client.stream(QUESTION, structured_outputs=shape, grounding="strict") as parts:
            *_, last = list(parts)

    [citation] = found.citations
    assert (found.text, found.refusal) == (said, None)
    assert said[citation.start_index : citation.end_index] == "27 working days"
    assert citation.number is not None
    assert (refused.text, refused.refusal) == ("", "The documents do not contain the answer.")
    assert isinstance(last, Done)
    assert last.answer.refusal == refused.refusal


def test_documents_that_the_caller_brings_are_cited(serve: Serve) -> None:
    note = "The canteen opens at 11:45."

    with serve(ScriptedEngine("11:45")) as url, HrmClient(url) as client:
        answer = client.ask("When does the canteen open?", documents=[{"title": "Note", "text": note}])

    [citation], [source] = answer.citations, answer.sources
    assert (citation.number, citation.quote) == (1, note)
    assert (source.file_id, source.text) == (None, note)


def test_earlier_turns_and_an_earlier_answer_can_be_sent_back(serve: Serve) -> None:
    with serve(ScriptedEngine("27 working days")) as url, HrmClient(url) as client:
        answer = client.ask(QUESTION)
        again = client.ask(
            "And per calendar year?",
            history=[{"role": "user", "content": QUESTION}, {"role": "assistant", "content": answer.text}],
        )

    assert again.finish_reason == "stop"


def test_a_client_that_leaves_frees_the_engine(serve: Serve) -> None:
    engine = ScriptedEngine("27 ", "working days. ", "More.")
    engine.gate.clear()

    with serve(engine) as url, HrmClient(url) as client:
        with client.stream(QUESTION) as parts:
            assert isinstance(next(parts), Sources)
            wait_until(lambda: engine.open == 1)

        wait_until(lambda: engine.open == 0)


@pytest.mark.anyio
async def test_the_asynchronous_client_frees_the_engine_too(serve: Serve) -> None:
    engine = ScriptedEngine("27 ", "working days. ", "More.")
    engine.gate.clear()

    with serve(engine) as url:
        async with AsyncHrmClient(url) as client:
            async with client.stream(QUESTION) as parts:
                assert isinstance(await anext(parts), Sources)
            await asyncio.to_thread(wait_until, lambda: engine.open == 0)


def test_a_failure_in_mid_stream_is_raised_and_tells_no_internals(serve: Serve) -> None:
    engine = ScriptedEngine("27 ", "working", failure=EngineError("the device fell over"), fail_after=1)

    with (
        serve(engine) as url,
        HrmClient(url) as client,
        pytest.raises(openai.APIError) as raised,
        client.stream(QUESTION) as parts,
    ):
        list(parts)

    assert "device" not in str(raised.value)
    assert engine.open == 0


def test_an_unknown_store_is_not_found(serve: Serve) -> None:
    with (
        serve(ScriptedEngine("x")) as url,
        HrmClient(url) as client,
        pytest.raises(openai.NotFoundError) as raised,
    ):
        client.ask(QUESTION, store="no-such-store")

    assert raised.value.code == "vector_store_not_found"


def test_a_server_with_keys_wants_one(serve: Serve, ledger: Ledger) -> None:
    with serve(ScriptedEngine("27 working days")) as url:
        _, secret = ledger.keys.create(principal="user:ann", roles={"ask"})
        with HrmClient(url) as stranger, pytest.raises(openai.AuthenticationError) as raised:
            stranger.ask(QUESTION)
        with HrmClient(url, secret) as known:
            answer = known.ask(QUESTION)

    assert raised.value.code == "invalid_api_key"
    assert len(answer.citations) == 1


def test_hrm_ask_prints_what_the_readme_shows(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    [(question, shown)] = re.findall(r'^\$ hrm-ask "(.*?)"\n(.*?)^```$', README, re.MULTILINE | re.DOTALL)

    with serve(ScriptedEngine("27 working", " days")) as url:
        code = main([question, "--url", url])

    assert (code, capsys.readouterr().out) == (0, shown)


def test_hrm_ask_leaves_with_3_when_the_model_abstains(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(ScriptedEngine("unanswerable")) as url:
        code = main([QUESTION, "--url", url])

    assert (code, capsys.readouterr().out) == (3, "The documents do not contain the answer.\n")
