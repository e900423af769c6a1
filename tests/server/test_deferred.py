"""The places of engine and store before they are loaded, and after."""

from contextlib import aclosing
from pathlib import Path

import pytest

from hrm_model.types import Finished, Load, Question, Sampling, Text
from retrieval.types import Reader
from server.deferred import DeferredEngine, DeferredLibrary, DeferredSpeller
from server.errors import NotReady
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import OWNER, stocked

pytestmark = pytest.mark.anyio
QUESTION = Question("Who leads the claims desk?")


async def test_an_engine_that_is_loading_is_not_ready_and_has_no_load() -> None:
    engine = DeferredEngine()

    for use in (
        lambda: engine.limits,
        lambda: engine.count(["a"]),
        lambda: engine.least("a"),
        lambda: engine.longest(10, 1),
        lambda: engine.generate(QUESTION, Sampling()),
    ):
        with pytest.raises(NotReady, match="still loading"):
            use()
    assert engine.load() == Load()
    await engine.drain(0)


async def test_an_engine_that_is_there_is_passed_on_to() -> None:
    scripted = ScriptedEngine("Marta ", "Velin")
    engine = DeferredEngine()
    engine.supply(scripted)

    async with aclosing(engine.generate(QUESTION, Sampling(), n=2)) as events:
        seen = [event async for event in events]

    assert "".join(event.text for event in seen if isinstance(event, Text) and event.choice == 0) == "Marta Velin"
    assert sum(isinstance(event, Finished) for event in seen) == 2
    assert engine.limits == scripted.limits
    assert engine.count(["a b"]) == scripted.count(["a b"])
    assert engine.least("a b c d") == scripted.least("a b c d") == 2
    assert engine.longest(4000, 2) == scripted.longest(4000, 2) == 96
    assert engine.load() == scripted.load()


async def test_prompts_are_read_back_once_the_model_is_there() -> None:
    speller = DeferredSpeller()
    with pytest.raises(NotReady, match="still loading"):
        speller.spelled(QUESTION)

    speller.supply(ScriptedEngine())

    assert speller.spelled(QUESTION) == ScriptedEngine().spelled(QUESTION)


async def test_a_store_that_is_loading_is_not_ready() -> None:
    library = DeferredLibrary()
    reader = Reader(frozenset({"user:x"}))

    for use in (
        library.search("q", stores=["a"], k=1, reader=reader),
        library.stores(reader),
        library.store("a", reader),
        library.text("file-a", reader),
        library.delete("file-a", reader),
    ):
        with pytest.raises(NotReady, match="still loading"):
            await use


async def test_a_store_that_is_there_is_passed_on_to(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, {"claims.txt": "Marta Velin leads the claims desk."})
    library = DeferredLibrary()
    library.supply(shelf, shelf)
    (tmp_path / "tea.txt").write_text("Tea is at four.")

    added = await shelf.ingest(tmp_path / "tea.txt", store="handbook", reader=OWNER)

    assert await library.text(added.file_id, OWNER) == "Tea is at four."
    assert [store.name for store in await library.stores(OWNER)] == ["handbook"]
    assert (await library.store("handbook", OWNER)).documents == 2
    hits = await library.search("Who leads the claims desk?", stores=["handbook"], k=1, reader=OWNER)
    assert hits.passages[0].filename == "claims.txt"
    assert hits.generation == await shelf.generation()
    await library.delete(added.file_id, OWNER)
    assert [document.filename for document in await shelf.documents("handbook", OWNER)] == ["claims.txt"]
