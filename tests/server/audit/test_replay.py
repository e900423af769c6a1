"""Asking again what a record says was asked, by a server that has other defaults now."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hrm_model.errors import EngineError, GrammarFault, InvalidPrompt
from hrm_model.template import Shot
from hrm_model.types import JsonSchema
from hrm_model.types import Limits as EngineLimits
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store.database import Database
from retrieval.types import Access, Attachment
from server.audit.chain import AuditError
from server.audit.facts import Origin, question_of
from server.audit.log import AuditLog
from server.audit.replay import Replayed, as_then, replay
from server.deps import ModelCard, Policy, Services
from server.identity import Limits
from server.signing import Signer, canonical
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import HANDBOOK, MODEL, OWNER, client_of, listening, question, services
from tests.retrieval.desk import WordsEmbedder, write

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
PARKING = {"parking.txt": "Full-time staff may park for 28 days of the year. The car park closes at ten."}


@dataclass(frozen=True, slots=True)
class Desk:
    """A log, and the stores `handbook` and `parking`; what one of them is asked, the other could answer too."""

    log: AuditLog
    library: Library

    def given(self, default_store: str | None, *said: str) -> Services:
        """A server with this default, whose model says this."""
        engine = ScriptedEngine(*(said or ("Full-time staff ", "receive 28 days.")))
        given = services(engine, store=self.library, default_store=default_store)
        return replace(given, audit=self.log, origin=lambda: Origin("1.2", "mini", "digest", "template"))

    async def asked(self, default_store: str | None, **extra: Any) -> dict[str, Any]:
        """Ask a question of a server with this default; its record."""
        async with client_of(self.given(default_store)) as client:
            answer = await client.post(CHAT, json=question(**extra), headers={"x-request-id": "req_1"})
        assert answer.status_code == 200
        record: dict[str, Any] = json.loads(self.log.of_request("req_1")[-1].record)
        return record

    async def again(self, default_store: str | None, **extra: Any) -> Replayed:
        """Replay it on a server with this default."""
        return await replay(self.log, "req_1", self.given(default_store), question(**extra))


def scripted(given: Services) -> ScriptedEngine:
    """The engine of a server."""
    assert isinstance(given.engine, ScriptedEngine)
    return given.engine


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    log = AuditLog(tmp_path / "audit.db", Signer(Ed25519PrivateKey.generate()))
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        for store, documents in (("handbook", HANDBOOK), ("parking", PARKING), ("empty", {})):
            await stock(library, tmp_path, store, documents)
        yield Desk(log, library)
    log.close()


async def stock(library: Library, folder: Path, store: str, documents: dict[str, str]) -> None:
    await library.create_store(store, OWNER, Access(read=("*",)))
    for name, text in documents.items():
        await library.ingest(write(folder, name, text), store=store, reader=OWNER)


@pytest.mark.parametrize("default_now", ["parking", "handbook", None])
async def test_the_plain_model_looks_again_where_it_looked_then(desk: Desk, default_now: str | None) -> None:
    record = await desk.asked("handbook")

    assert record["searched"] == ["handbook"]
    assert record["passages"]
    assert await desk.again(default_now) == Replayed("same")


async def test_a_document_that_came_later_is_not_found_again(desk: Desk, tmp_path: Path) -> None:
    record = await desk.asked("handbook")
    words = question()["messages"][-1]["content"]
    await stock(desk.library, tmp_path, "handbook", {"later.txt": f"{words} Full-time staff receive 40 days."})

    again = await desk.again("handbook")

    assert again.verdict == "same"
    assert again.differences == (f"generation was {record['generation']}, is {record['generation'] + 1}",)


async def test_weights_that_the_request_gave_are_given_again(desk: Desk) -> None:
    by_words = {"ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}}
    usual = await desk.asked("handbook")
    record = await desk.asked("handbook", retrieval=by_words)

    assert [passage["score"] for passage in record["passages"]] != [passage["score"] for passage in usual["passages"]]
    asked = question(retrieval=by_words)
    assert await replay(desk.log, "req_1", desk.given("handbook"), asked, number=2) == Replayed("same")


@pytest.mark.parametrize("seed", [None, 7])
async def test_every_prompt_of_several_is_drawn_again_from_its_own_seed(desk: Desk, seed: int | None) -> None:
    asked = {"model": MODEL, "prompt": ["Name a colour"] * 3, "temperature": 1, "seed": seed}
    then, now = desk.given(None, "blue"), desk.given(None, "blue")
    async with client_of(then) as client:
        await client.post("/v1/completions", json=asked, headers={"x-request-id": "req_1"})

    assert await replay(desk.log, "req_1", now, asked) == Replayed("same")

    seeds = [[one.seed for one in scripted(given).samplings] for given in (then, now)]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == (3 if seed is None else 1)


@pytest.mark.parametrize("default_now", ["handbook", None])
async def test_a_store_that_had_nothing_to_say_is_asked_again(desk: Desk, default_now: str | None) -> None:
    record = await desk.asked("empty")

    assert (record["searched"], record["passages"]) == (["empty"], [])
    assert record["searched_ids"] == [(await desk.library.store("empty", OWNER)).store_id]
    assert await desk.again(default_now) == Replayed("same")


async def test_what_looked_nothing_up_looks_nothing_up_again(desk: Desk) -> None:
    record = await desk.asked(None)

    assert (record["searched"], record["passages"]) == (None, None)
    assert await desk.again("handbook") == Replayed("same")


async def test_stores_that_the_request_names_are_its_own(desk: Desk) -> None:
    retrieval = {"vector_store_ids": ["parking"]}
    record = await desk.asked("handbook", retrieval=retrieval)

    assert record["searched"] == ["parking"]
    assert await desk.again("handbook", retrieval=retrieval) == Replayed("same")


async def test_a_name_that_another_store_has_now_does_not_stand_for_the_one_that_answered(
    desk: Desk, tmp_path: Path
) -> None:
    await desk.asked("handbook")
    await desk.library.archive.remove_store("handbook", OWNER)
    await stock(desk.library, tmp_path, "handbook", PARKING)

    again = await desk.again("handbook")

    assert again.verdict == "erased"
    assert "is gone" in again.differences[0]


WAYS_TO_NAME: dict[str, Callable[[str], dict[str, Any]]] = {
    "alias": lambda name: {"model": f"{MODEL}@{name}"},
    "retrieval": lambda name: {"retrieval": {"vector_store_ids": [name]}},
    "tool": lambda name: {"tools": [{"type": "file_search", "vector_store_ids": [name]}]},
}


async def make_anew(library: Library, store: str, files: Sequence[str]) -> None:
    """Remove a store, and make another of its name with the same files, which are kept by a third one meanwhile."""
    for file in files:
        await library.archive.attach("handbook", Attachment(file), OWNER)
    await library.archive.remove_store(store, OWNER)
    await library.create_store(store, OWNER, Access(read=("*",)))
    for file in files:
        await library.archive.attach(store, Attachment(file), OWNER)


@pytest.mark.parametrize("way", WAYS_TO_NAME)
@pytest.mark.parametrize("store", ["empty", "parking"])
async def test_nor_does_one_that_the_request_names_whether_it_found_something_or_not(
    desk: Desk, store: str, way: str
) -> None:
    named = WAYS_TO_NAME[way](store)
    record = await desk.asked(None, **named)
    (store_id,) = record["searched_ids"]
    assert bool(record["passages"]) == (store == "parking")
    await make_anew(desk.library, store, [passage["file"] for passage in record["passages"]])

    assert await desk.again(None, **named) == Replayed("erased", (f"the store {store_id} is gone",))


@pytest.mark.parametrize("way", WAYS_TO_NAME)
async def test_a_record_of_before_ids_were_kept_knows_its_store_by_what_it_found(desk: Desk, way: str) -> None:
    named = WAYS_TO_NAME[way]("parking")
    record = await desk.asked(None, **named)
    (store_id,) = record["searched_ids"]
    for name in ("at", "hashes", "beside", "searched_ids"):
        del record[name]
    desk.log.append({**record, "request": "req_2"}, {"question": question_of(question(**named)), "answer_0": "x"})
    await make_anew(desk.library, "parking", [record["passages"][0]["file"]])

    again = await replay(desk.log, "req_2", desk.given(None), question(**named))

    assert again == Replayed("erased", (f"the store {store_id} is gone",))


GONE = "passage 1 is of a document that is gone from its store"
CLOSED = "passage 1 is of a document that whoever asked may not read any more: its access was changed"


async def test_a_document_that_is_deleted_is_gone(desk: Desk) -> None:
    record = await desk.asked("handbook")
    await desk.library.delete(record["passages"][0]["file"], OWNER)

    assert await desk.again("handbook") == Replayed("erased", (GONE,))


async def test_a_document_that_is_taken_out_of_its_store_is_gone_from_there(desk: Desk) -> None:
    record = await desk.asked("handbook")
    file, store = record["passages"][0]["file"], record["passages"][0]["store"]
    await desk.library.archive.attach("empty", Attachment(file), OWNER)
    await desk.library.set_access("empty", Access(), OWNER)
    await desk.library.archive.detach(store, file, OWNER)

    assert await desk.again("handbook") == Replayed("erased", (GONE,))


async def test_a_document_that_is_closed_to_who_asked_is_not_called_gone(desk: Desk) -> None:
    record = await desk.asked("handbook")
    await desk.library.archive.share_file(record["passages"][0]["file"], Access(read=("user:ben",)), OWNER)

    assert await desk.again("handbook") == Replayed("differs", (CLOSED,))


async def test_what_is_gone_decides_where_other_passages_are_only_closed(desk: Desk) -> None:
    record = await desk.asked("handbook")
    gone, closed = [passage["file"] for passage in record["passages"]]
    await desk.library.archive.share_file(closed, Access(read=("user:ben",)), OWNER)
    await desk.library.delete(gone, OWNER)

    assert await desk.again("handbook") == Replayed("erased", (GONE, CLOSED.replace("1", "2")))


async def test_a_store_that_is_closed_to_who_asked_is_not_called_gone(desk: Desk) -> None:
    await desk.asked("handbook")
    await desk.library.set_access("handbook", Access(read=("user:ben",)), OWNER)

    assert await desk.again("handbook") == Replayed("differs", (CLOSED, CLOSED.replace("1", "2")))


@pytest.mark.parametrize("retrieval", [None, {"vector_store_ids": ["empty"]}])
async def test_a_store_that_had_nothing_to_say_and_is_closed_now_is_named_as_closed(
    desk: Desk, retrieval: dict[str, Any] | None
) -> None:
    (store,) = (await desk.asked("empty", retrieval=retrieval))["searched_ids"]
    await desk.library.set_access("empty", Access(read=("user:ben",)), OWNER)

    closed = f"whoever asked may not read the store {store} any more: its access was changed"
    assert await desk.again("empty", retrieval=retrieval) == Replayed("differs", (closed,))

    await desk.library.archive.remove_store("empty", OWNER)

    assert await desk.again("empty", retrieval=retrieval) == Replayed("erased", (f"the store {store} is gone",))


async def test_a_store_that_has_expired_is_as_good_as_gone(desk: Desk, tmp_path: Path) -> None:
    await desk.asked("empty")
    database = Database(tmp_path / "data" / "store.db")
    with database.write() as tx:
        tx.run("UPDATE stores SET expires_days = 1, last_active_at = 0")
    database.close()

    store = (await desk.library.store("empty", OWNER)).store_id
    gone = f"the store {store} has expired, and what it held is gone from it"
    assert await desk.again("empty") == Replayed("erased", (gone,))


SETTINGS = Policy(
    default_store="handbook", retrieval_k=1, score_threshold=0.01, grounding="strict", abstention="Not known."
)


@pytest.mark.parametrize("said", ["Full-time staff receive 28 days.", "unanswerable", "Nobody knows that."])
async def test_what_the_request_left_open_is_as_it_was_then(desk: Desk, said: str) -> None:
    then = replace(desk.given("handbook", said), policy=SETTINGS)
    async with client_of(then) as client:
        await client.post(CHAT, json=question(), headers={"x-request-id": "req_1"})

    now = desk.given("handbook", said)
    again = await replay(desk.log, "req_1", now, question())

    assert now.policy.defaults() != SETTINGS.defaults()
    assert again == Replayed("same")


async def test_of_several_answers_with_one_id_one_has_to_be_named(desk: Desk) -> None:
    await desk.asked("handbook")
    await desk.asked("handbook", max_tokens=1)

    with pytest.raises(AuditError, match=r"name one with --record \(1, 2\)"):
        await desk.again("handbook")
    assert await replay(desk.log, "req_1", desk.given("handbook"), question(), number=1) == Replayed("same")


async def test_a_search_is_on_record_and_not_asked_again(desk: Desk) -> None:
    async with client_of(desk.given(None)) as client:
        body, headers = {"query": "staff"}, {"x-request-id": "req_1"}
        found = await client.post("/v1/vector_stores/handbook/search", json=body, headers=headers)
    assert found.status_code == 200

    with pytest.raises(AuditError, match="What is on record for req_1 is no answer"):
        await desk.again(None)
    with pytest.raises(AuditError, match="There is no record of an answer to a request req_2"):
        await replay(desk.log, "req_2", desk.given(None), question())


async def test_a_request_with_half_a_character_is_asked_again(desk: Desk) -> None:
    body = json.dumps(question(user="half \ud83d"))
    async with client_of(desk.given("handbook")) as client:
        headers = {"x-request-id": "req_1", "content-type": "application/json"}
        answer = await client.post(CHAT, content=body, headers=headers)
    assert answer.status_code == 200

    assert await desk.again("handbook", user="half \ud83d") == Replayed("same")


async def test_an_answer_that_was_cut_off_cannot_be_compared(desk: Desk) -> None:
    record = await desk.asked("handbook")
    desk.log.append({**record, "request": "req_2", "outcome": "cut off"}, {})

    with pytest.raises(AuditError, match="was cut off with its server"):
        await replay(desk.log, "req_2", desk.given("handbook"), question())


async def test_an_answer_whose_reader_left_cannot_be_compared(desk: Desk) -> None:
    engine = ScriptedEngine("Full-time staff ", "receive 28 days.")
    engine.gate.clear()
    headers = {"Authorization": "Bearer sk-ann", "x-request-id": "req_1"}
    async with (
        listening(replace(desk.given("handbook"), engine=engine)) as url,
        httpx.AsyncClient(base_url=url, headers=headers) as client,
    ):
        async with client.stream("POST", CHAT, json=question(stream=True)) as answer:
            await anext(line async for line in answer.aiter_lines() if "Full-time" in line)
        await asyncio.wait_for(engine.idle.wait(), 20)

    with pytest.raises(AuditError, match="was left by its reader before it ended"):
        await desk.again("handbook")


async def test_an_answer_that_failed_half_way_cannot_be_compared(desk: Desk) -> None:
    broken = ScriptedEngine("Full-time staff ", "receive", failure=EngineError("the device is gone"), fail_after=1)
    async with client_of(replace(desk.given("handbook"), engine=broken)) as client:
        await client.post(CHAT, json=question(stream=True), headers={"x-request-id": "req_1"})

    with pytest.raises(AuditError, match="failed before it ended"):
        await replay(desk.log, "req_1", desk.given("handbook", "Full-time staff "), question())


async def test_other_worked_examples_are_named_as_a_cause(desk: Desk) -> None:
    await desk.asked("handbook")
    other = desk.given("handbook", "Full-time staff receive 27 days.")
    shots = (Shot((), "How long?", "28 days"),)

    again = await replay(desk.log, "req_1", replace(other, policy=replace(other.policy, shots=shots)), question())

    assert again.verdict == "differs"
    assert again.differences[0] == "the worked examples are others"


async def test_other_weights_of_a_search_are_named_as_a_cause(desk: Desk) -> None:
    await desk.asked("handbook")
    other = desk.given("handbook", "Full-time staff receive 27 days.")
    policy = replace(other.policy, text_weight=0.5, late_interaction=20)

    again = await replay(desk.log, "req_1", replace(other, policy=policy), question())

    assert again.verdict == "differs"
    assert again.differences[:2] == ("text_weight was 0.3, is 0.5", "late_interaction was 0, is 20")


async def test_a_record_of_before_weights_were_kept_names_none(desk: Desk) -> None:
    record = await desk.asked("handbook")
    for name in ("at", "hashes", "beside"):
        del record[name]
    del record["defaults"]["text_weight"], record["defaults"]["late_interaction"]
    desk.log.append({**record, "request": "req_2"}, {"question": question_of(question()), "answer_0": "x"})

    again = await replay(desk.log, "req_2", desk.given("handbook"), question())

    assert again == Replayed("differs", ("answer_0 is another one",))


async def test_a_record_of_before_defaults_were_kept_is_asked_again_with_those_of_today(desk: Desk) -> None:
    record = await desk.asked("handbook")
    del record["defaults"]

    today = replace(desk.given("parking"), policy=SETTINGS)

    assert as_then(record, today).policy.defaults() == SETTINGS.defaults()


async def test_the_callers_limit_of_then_makes_no_room_for_more_passages(desk: Desk, tmp_path: Path) -> None:
    offices = {
        f"{n}.txt": f"Full-time staff of office{n} receive {20 + n} days of paid leave each year, said letter{n}."
        for n in range(8)
    }
    await stock(desk.library, tmp_path, "offices", offices)
    narrow = EngineLimits(context_tokens=160, kv_tokens=65536, default_max_tokens=80, max_context_tokens=150)

    def given(**policy: Any) -> Services:
        engine = ScriptedEngine("Full-time staff ", "receive 28 days.", limits=narrow)
        return replace(
            desk.given("offices"), engine=engine, speller=engine, policy=Policy(default_store="offices", **policy)
        )

    async with client_of(given(person_limits=Limits(max_tokens=5))) as client:
        await client.post(CHAT, json=question(), headers={"x-request-id": "req_1"})
    record = json.loads(desk.log.of_request("req_1")[-1].record)
    assert record["most_tokens"] == 5

    assert await replay(desk.log, "req_1", given(), question()) == Replayed("same")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": ModelCard("other", created=1, context=4096)}, "The model 'hrm-text-mini' does not exist."),
        ({"policy": Policy(default_store="handbook", max_choices=1)}, "'n' is at most 1 here."),
        ({"engine": ScriptedEngine(refusal=InvalidPrompt("It is empty."))}, "It is empty."),
        ({"engine": ScriptedEngine("x", failure=GrammarFault("It is too complex."))}, "It is too complex."),
    ],
)
async def test_what_is_refused_today_is_said_in_words(desk: Desk, change: dict[str, Any], words: str) -> None:
    await desk.asked("handbook", n=2)

    with pytest.raises(AuditError, match=f"What was asked then is refused today: {re.escape(words)}"):
        await replay(desk.log, "req_1", replace(desk.given("handbook"), **change), question(n=2))


async def test_a_request_that_has_another_form_today_is_named_by_its_field(desk: Desk) -> None:
    record = await desk.asked("handbook")
    del record["at"], record["hashes"], record["beside"]
    asked = question(gone="a field of then")
    record |= {"request": "req_2", "content": ["gone", "messages"]}
    desk.log.append(record, {"question": question_of(asked), "answer_0": "x"})

    with pytest.raises(AuditError, match=r"What was asked then is refused today: .*'gone'"):
        await replay(desk.log, "req_2", desk.given("handbook"), asked)


async def test_an_answer_that_the_callers_limit_ended_ends_there_again(desk: Desk) -> None:
    words = [f"word{at} " for at in range(20)]
    bounded = replace(desk.given("handbook", *words), policy=replace(Policy(), person_limits=Limits(max_tokens=5)))
    async with client_of(bounded) as client:
        await client.post(CHAT, json=question(), headers={"x-request-id": "req_1"})
    record = json.loads(desk.log.of_request("req_1")[-1].record)
    assert (record["most_tokens"], record["tokens"]["completion"]) == (5, 5)

    again = await replay(desk.log, "req_1", replace(desk.given("handbook", *words), policy=Policy()), question())

    assert again == Replayed("same")


SCHEMA = {"type": "object", "properties": {"z": {"enum": ["x", "y"]}, "a": {"type": "integer"}}, "required": ["z", "a"]}
FORMS: dict[str, dict[str, Any]] = {
    "response_format": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "form", "schema": SCHEMA}},
    },
    "structured_outputs": {"structured_outputs": {"json": SCHEMA}},
    "tools": {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
        "tool_choice": "required",
    },
}


def sorted_names(asked: dict[str, Any]) -> dict[str, Any]:
    """The same request, with the names of every object in alphabetical order."""
    again: dict[str, Any] = json.loads(json.dumps(asked, sort_keys=True))
    return again


@pytest.mark.parametrize("keeps_texts", [False, True])
@pytest.mark.parametrize("form", FORMS)
async def test_the_names_in_a_form_are_asked_for_again_in_the_order_that_they_were_sent_in(
    desk: Desk, tmp_path: Path, form: str, keeps_texts: bool
) -> None:
    kept = AuditLog(tmp_path / "kept.db", Signer(Ed25519PrivateKey.generate()), content_key=bytes(32))
    desk = replace(desk, log=kept if keeps_texts else desk.log)
    said = 'f\n{"z": "x", "a": 1}' if form == "tools" else '{"z": "x", "a": 1}'
    then, now = desk.given(None, said), desk.given(None, said)
    async with client_of(then) as client:
        answer = await client.post(CHAT, json=question(**FORMS[form]), headers={"x-request-id": "req_1"})
    assert answer.status_code == 200

    again = await replay(desk.log, "req_1", now, None if keeps_texts else question(**FORMS[form]))
    kept.close()

    assert again == Replayed("same")
    assert scripted(now).samplings == scripted(then).samplings
    assert scripted(now).prompts == scripted(then).prompts


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_with_its_names_in_another_order_is_another_question(desk: Desk, form: str) -> None:
    record = await desk.asked(None, **FORMS[form])

    assert record["ordered"] == [form]
    with pytest.raises(AuditError, match="This is not the question that was asked"):
        await replay(desk.log, "req_1", desk.given(None), sorted_names(question(**FORMS[form])))


async def test_of_what_is_no_form_the_order_says_nothing(desk: Desk) -> None:
    await desk.asked("handbook", retrieval={"vector_store_ids": ["handbook"], "max_num_results": 1})

    asked = sorted_names(question(retrieval={"max_num_results": 1, "vector_store_ids": ["handbook"]}))

    assert await replay(desk.log, "req_1", desk.given("handbook"), asked) == Replayed("same")


@pytest.mark.parametrize("is_sorted", [False, True])
async def test_a_record_of_before_orders_were_kept_is_asked_again_in_the_one_that_is_given(
    desk: Desk, is_sorted: bool
) -> None:
    record = await desk.asked(None, **FORMS["response_format"])
    asked = sorted_names(question(**FORMS["response_format"])) if is_sorted else question(**FORMS["response_format"])
    for name in ("at", "hashes", "beside", "ordered"):
        del record[name]
    texts = {"question": canonical({name: asked[name] for name in record["content"]})}
    desk.log.append({**record, "request": "req_2"}, texts | {"answer_0": "Full-time staff receive 28 days."})
    other = desk.given(None, "Something else.")

    assert await replay(desk.log, "req_2", desk.given(None), asked) == Replayed("same")
    assert await replay(desk.log, "req_2", other, asked) == Replayed(
        "differs",
        (
            "in which order the names in response_format were sent is not on record, and the answer may depend on it",
            "answer_0 is another one",
        ),
    )
    (given,) = scripted(other).samplings
    schema = asked["response_format"]["json_schema"]["schema"]
    assert given.grammar == JsonSchema(json.dumps(schema))
