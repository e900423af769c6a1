"""Which sources a chat request is answered from: the ways of asking, of asking for none, and what is refused."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from hrm_model.types import Question, SpanOf
from retrieval.errors import EmbedderMismatch, StoreFailed
from retrieval.types import Reader
from tests.fakes.engine import ScriptedEngine
from tests.fakes.meaning import WordsApart
from tests.fakes.serving import (
    CLAIMS,
    HANDBOOK,
    LEAVE,
    MODEL,
    OWNER,
    chunks,
    client_of,
    question,
    services,
    stock,
    stocked,
)
from tests.fakes.shelf import Shelf

pytestmark = pytest.mark.anyio

NOTHING = "The documents do not contain the answer."
ASK = "How many days of paid leave do full-time staff receive?"


async def post(given: Any, body: dict[str, Any], key: str = "sk-ann") -> httpx.Response:
    async with client_of(given, key) as client:
        return await client.post("/v1/chat/completions", json=body)


def cited(response: httpx.Response) -> list[str]:
    return [citation["content"] for citation in message(response)["context"]["citations"]]


def message(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["choices"][0]["message"]
    return found


def error(response: httpx.Response) -> tuple[int, str, str | None]:
    body = response.json()["error"]
    return response.status_code, body["code"], body["param"]


def tool(*stores: str, **extra: Any) -> list[dict[str, Any]]:
    return [{"type": "file_search", "vector_store_ids": list(stores), **extra}]


@pytest.mark.parametrize(
    "way",
    [
        {"tools": tool("handbook")},
        {"tools": tool("handbook"), "tool_choice": "required"},
        {"tools": tool("handbook"), "tool_choice": {"type": "file_search"}},
        {"retrieval": {"vector_store_ids": ["handbook"]}},
        {"model": f"{MODEL}@handbook"},
        {"model": f"{MODEL}@handbook", "retrieval": {"grounding": "cite"}},
    ],
)
async def test_every_way_of_naming_a_store_means_the_same(tmp_path: Path, way: dict[str, Any]) -> None:
    engine = ScriptedEngine("28 days.")
    response = await post(services(engine, await stocked(tmp_path, HANDBOOK)), question(ASK, **way))

    assert message(response)["content"] == "28 days. [1]"
    assert cited(response)[0] == LEAVE


async def test_a_store_is_named_by_its_id_as_well(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    store = await shelf.store("handbook", Reader(frozenset({"*"})))

    response = await post(services(shelf=shelf), question(ASK, tools=tool(store.store_id)))

    assert cited(response)[0] == LEAVE


@pytest.mark.parametrize(
    "way", [{"retrieval": False}, {"tool_choice": "none"}, {"model": f"{MODEL}@none"}, {"retrieval": None}]
)
async def test_without_retrieval_nothing_is_looked_up(tmp_path: Path, way: dict[str, Any]) -> None:
    engine, shelf = ScriptedEngine("28 days."), await stocked(tmp_path, HANDBOOK)
    default = None if way == {"retrieval": None} else "handbook"

    response = await post(services(engine, shelf, default_store=default), question(ASK, **way))

    assert message(response) == {"role": "assistant", "content": "28 days.", "refusal": None, "annotations": []}
    assert shelf.queries == []
    assert engine.prompts[0].text == ASK  # type: ignore[union-attr]  # the script reads questions


async def test_documents_of_the_caller_replace_the_store(tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("14 days."), await stocked(tmp_path, HANDBOOK)
    body = question("How long?", documents=[{"text": "Nothing."}, {"title": "Trips", "text": "Trips last 14 days."}])

    response = await post(services(engine, shelf, default_store="handbook"), body)

    assert message(response)["content"] == "14 days. [2]"
    citation = message(response)["annotations"][0]["url_citation"]
    assert (citation["url"], citation["file_id"]) == ("document:2#char=0,19", None)
    assert message(response)["context"]["citations"][1]["file_id"] is None
    assert message(response)["context"]["intent"] == "[]"
    assert message(response)["context"]["grounding"]["index_generation"] is None
    assert shelf.queries == []


@pytest.mark.parametrize(
    ("way", "code", "param"),
    [
        ({"tools": tool("a"), "retrieval": {"vector_store_ids": ["a"]}}, "invalid_value", "retrieval"),
        ({"tools": tool("a"), "retrieval": False}, "invalid_value", "retrieval"),
        ({"tools": tool("a"), "model": f"{MODEL}@a"}, "invalid_value", "tools[0].vector_store_ids"),
        ({"documents": [{"text": "x"}], "tools": tool("a")}, "invalid_value", "tools"),
        ({"documents": [{"text": "x"}], "retrieval": {"max_num_results": 2}}, "invalid_value", "retrieval"),
        ({"retrieval": True}, "invalid_value", "retrieval"),
        ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
        ({"tools": tool("a", filters={"type": "eq"})}, "missing_required_parameter", "tools[0].filters.key"),
        ({"retrieval": {"filters": {"type": "eq"}}}, "missing_required_parameter", "retrieval.filters.key"),
        (
            {"retrieval": {"filters": {"type": "in", "key": "a", "value": "b"}}},
            "invalid_value",
            "retrieval.filters",
        ),
        (
            {"retrieval": {"filters": {"type": "and", "filters": [{"type": "gt", "key": "a", "value": True}]}}},
            "invalid_value",
            "retrieval.filters.filters[0]",
        ),
        (
            {"tools": tool("a", ranking_options={"hybrid_search": {"text_weight": 1}})},
            "missing_required_parameter",
            "tools[0].ranking_options.hybrid_search.embedding_weight",
        ),
        ({"retrieval": {"max_num_results": 51}}, "invalid_value", "retrieval.max_num_results"),
        ({"retrieval": {"k": 3}}, "unknown_parameter", "retrieval.k"),
        ({"tools": [{"type": "web_search"}]}, "unsupported_parameter", "tools[0].type"),
        ({"tools": [*tool("a"), *tool("b")]}, "invalid_value", "tools"),
        ({"tool_choice": {"type": "file_search"}}, "invalid_value", "tool_choice"),
        ({"tools": tool()}, "invalid_value", "tools[0].vector_store_ids"),
    ],
)
async def test_what_contradicts_itself_or_cannot_be_honoured_is_refused_by_name(
    way: dict[str, Any], code: str, param: str
) -> None:
    engine = ScriptedEngine("ok")

    response = await post(services(engine), question(**way))

    assert error(response) == (400, code, param)
    assert engine.prompts == []


@pytest.mark.parametrize(
    ("way", "param"),
    [
        ({"tools": tool("secret")}, "tools[0].vector_store_ids"),
        ({"retrieval": {"vector_store_ids": ["handbook", "secret"]}}, "retrieval.vector_store_ids"),
        ({"model": f"{MODEL}@secret"}, "model"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_forbidden_store_answers_exactly_like_one_that_does_not_exist(
    tmp_path: Path, way: dict[str, Any], param: str, stream: bool
) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    absent = await post(services(shelf=shelf), question(ASK, stream=stream, **way))
    await stock(shelf, tmp_path, {"x.txt": CLAIMS}, store="secret", read="user:root")
    forbidden = await post(services(shelf=shelf), question(ASK, stream=stream, **way))

    assert forbidden.json() == absent.json()
    assert absent.json()["error"] == {
        "message": "No vector store found with id 'secret'.",
        "type": "invalid_request_error",
        "param": param,
        "code": "vector_store_not_found",
    }
    assert (forbidden.status_code, absent.status_code) == (404, 404)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_default_store_that_the_caller_may_not_see_is_not_named(tmp_path: Path, stream: bool) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    absent = await post(services(shelf=shelf, default_store="secret"), question(ASK, stream=stream))
    await stock(shelf, tmp_path, {"x.txt": CLAIMS}, store="secret", read="user:root")
    forbidden = await post(services(shelf=shelf, default_store="secret"), question(ASK, stream=stream))

    assert forbidden.json() == absent.json()
    assert absent.json()["error"] == {
        "message": "The default store of this model is not available to you;"
        f" name a store, or ask '{MODEL}@none' for an answer without one.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "vector_store_not_found",
    }
    assert (forbidden.status_code, absent.status_code) == (404, 404)


async def test_a_group_may_read_what_its_members_may_not_alone(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK, read="group:staff")
    body = question(ASK, model=f"{MODEL}@handbook")

    assert cited(await post(services(shelf=shelf), body, "sk-ann"))[0] == LEAVE
    assert cited(await post(services(shelf=shelf), body, "sk-admin"))[0] == LEAVE
    assert (await post(services(shelf=shelf), body, "sk-bound")).status_code == 404


@pytest.mark.parametrize("failure", [StoreFailed(Path("/data/index"), "disk I/O error"), EmbedderMismatch("a", "b")])
async def test_a_failed_search_is_a_503_and_never_an_ungrounded_answer(failure: Exception) -> None:
    engine = ScriptedEngine("I guess so.")
    response = await post(services(engine, Shelf(failure), default_store="handbook"), question(ASK))

    assert error(response) == (503, "retrieval_unavailable", None)
    assert "retry-after" in response.headers
    assert "index" not in response.text
    assert engine.prompts == []


@pytest.mark.parametrize("stream", [False, True])
async def test_with_nothing_found_the_model_is_not_asked(tmp_path: Path, stream: bool) -> None:
    engine, shelf = ScriptedEngine("I guess so."), await stocked(tmp_path, HANDBOOK)
    body = question("Zebras?", stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))

    response = await post(services(engine, shelf, default_store="handbook"), body)

    if stream:
        *_, closed, usage = chunks(response.text)
        report, tokens, reason = (
            closed["choices"][0]["delta"]["context"]["grounding"],
            usage["usage"],
            closed["choices"][0]["finish_reason"],
        )
    else:
        assert message(response)["content"] == NOTHING
        report, tokens, reason = (
            message(response)["context"]["grounding"],
            response.json()["usage"],
            response.json()["choices"][0]["finish_reason"],
        )
    assert (report["status"], report["retrieved"], report["used"]) == ("no_sources", 0, 0)
    assert (tokens["completion_tokens"], reason) == (0, "stop")
    assert engine.prompts == []


async def test_with_grounding_off_the_model_is_asked_even_when_nothing_was_found(tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("Stripes."), await stocked(tmp_path, HANDBOOK)
    body = question("Zebras?", retrieval={"grounding": "off"})

    response = await post(services(engine, shelf, default_store="handbook"), body)

    assert message(response)["content"] == "Stripes."
    assert message(response)["context"]["grounding"]["status"] == "no_sources"
    assert engine.prompts[0].text == "Zebras?"  # type: ignore[union-attr]  # the script reads questions


async def test_with_grounding_off_sources_are_listed_and_nothing_is_marked(tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("28 days."), await stocked(tmp_path, HANDBOOK)
    body = question(ASK, retrieval={"grounding": "off"})

    response = await post(services(engine, shelf, default_store="handbook"), body)

    assert (message(response)["content"], message(response)["annotations"]) == ("28 days.", [])
    assert cited(response)[0] == LEAVE


async def test_an_abstention_of_the_model_becomes_the_configured_sentence(tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("Un", "answerable", "."), await stocked(tmp_path, HANDBOOK)
    given = services(engine, shelf, default_store="handbook", abstention="Not in our books.")

    whole = await post(given, question(ASK))
    streamed = chunks((await post(given, question(ASK, stream=True))).text)

    assert message(whole)["content"] == "Not in our books."
    assert message(whole)["annotations"] == []
    assert message(whole)["context"]["grounding"]["status"] == "abstained"
    texts = [chunk["choices"][0]["delta"].get("content") for chunk in streamed]
    assert [text for text in texts if text] == ["Not in our books."]


async def test_strict_grounding_withholds_what_no_source_says(tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("The sky is green. ", "28 days."), await stocked(tmp_path, HANDBOOK)
    body = question(ASK, retrieval={"grounding": "strict"})

    response = await post(services(engine, shelf, default_store="handbook"), body)

    assert message(response)["content"] == "28 days. [1]"
    assert message(response)["context"]["grounding"]["status"] == "partial"


async def test_strict_grounding_and_logprobs_exclude_each_other(tmp_path: Path) -> None:
    given = services(ScriptedEngine("ok"), await stocked(tmp_path, HANDBOOK), default_store="handbook")

    response = await post(given, question(ASK, logprobs=True, retrieval={"grounding": "strict"}))

    assert error(response) == (400, "invalid_value", "logprobs")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_an_extractive_checkpoint_says_without_a_source_is_withheld(stream: bool, tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("34 pl statue"), await stocked(tmp_path, HANDBOOK)
    given = services(engine, shelf, default_store="handbook")
    quoting = replace(given, model=replace(given.model, is_extractive=True))

    response = await post(quoting, question(ASK, stream=stream))
    by_another = await post(given, question(ASK))
    all_of_it = await post(quoting, question(ASK, retrieval={"grounding": "cite"}))

    if stream:
        said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(response.text))
    else:
        said = message(response)["content"]
    assert said == NOTHING
    assert message(by_another)["content"] == message(all_of_it)["content"] == "34 pl statue"


@pytest.mark.parametrize(
    "form", [{"logprobs": True}, {"response_format": {"type": "json_object"}}, {"retrieval": {"grounding": "cite"}}]
)
async def test_nothing_is_withheld_of_a_form_or_beside_log_probabilities_unless_asked(
    form: dict[str, Any], tmp_path: Path
) -> None:
    engine, shelf = ScriptedEngine('{"statue": 34}'), await stocked(tmp_path, HANDBOOK)
    given = services(engine, shelf, default_store="handbook")
    quoting = replace(given, model=replace(given.model, is_extractive=True))

    response = await post(quoting, question(ASK, **form))

    assert message(response)["content"] == '{"statue": 34}'
    assert message(response)["context"]["grounding"]["status"] == "unsupported"


async def test_an_extractive_checkpoint_is_held_to_spans_of_its_passages(tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("ok"), await stocked(tmp_path, HANDBOOK)
    given = services(engine, shelf, default_store="handbook")
    quoting = replace(given, model=replace(given.model, is_extractive=True))

    for retrieval in ({"grounding": "cite"}, {"grounding": "strict"}, {}):
        response = await post(quoting, question(ASK, retrieval=retrieval))
        read = [citation["content"] for citation in message(response)["context"]["citations"]]
        assert read
        assert engine.samplings[-1].grammar == SpanOf(tuple(read), ("unanswerable",))


@pytest.mark.parametrize(("grounding", "leaning"), [("strict", -2.0), ("cite", 0.0)])
async def test_it_leans_away_from_declining_only_where_all_that_it_says_is_checked(
    grounding: str, leaning: float, tmp_path: Path
) -> None:
    engine, shelf = ScriptedEngine("ok"), await stocked(tmp_path, HANDBOOK)
    given = services(engine, shelf, default_store="handbook")
    quoting = replace(given, model=replace(given.model, is_extractive=True, abstention_bias=-2.0))

    await post(quoting, question(ASK, retrieval={"grounding": grounding}))

    (sampling,) = engine.samplings
    assert isinstance(sampling.grammar, SpanOf)
    assert sampling.grammar.leaning == leaning


@pytest.mark.parametrize(
    "asked",
    [
        {"retrieval": False},
        {"retrieval": {"grounding": "off"}},
        {"ignore_eos": True, "max_tokens": 4},
        {"response_format": {"type": "json_object"}},
    ],
)
async def test_it_is_free_where_nothing_is_read_or_checked_or_another_form_is_asked_for(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    engine, shelf = ScriptedEngine("ok"), await stocked(tmp_path, HANDBOOK)
    given = services(engine, shelf, default_store="handbook")

    await post(replace(given, model=replace(given.model, is_extractive=True)), question(ASK, **asked))
    await post(given, question(ASK))

    assert not any(isinstance(sampling.grammar, SpanOf) for sampling in engine.samplings)
    assert len(engine.samplings) == 2


async def test_the_number_and_the_score_of_hits_are_the_callers_to_limit(tmp_path: Path) -> None:
    given = services(ScriptedEngine("ok"), await stocked(tmp_path, HANDBOOK), default_store="handbook")
    asked = "days leave desk"  # found in both documents, better in one

    both = await post(given, question(asked))
    one = await post(given, question(asked, retrieval={"max_num_results": 1}))
    near = await post(given, question(asked, tools=tool("handbook", ranking_options={"score_threshold": 0.9})))

    assert len(cited(both)) == 2
    assert len(cited(one)) == 1
    assert cited(near) == []


@pytest.mark.parametrize("ranker", ["auto", "none", "default-2024-11-15", "default_2024_08_21"])
@pytest.mark.parametrize("is_tool", [True, False])
async def test_the_weights_of_meaning_and_wording_are_the_callers_to_set(
    tmp_path: Path, ranker: str, is_tool: bool
) -> None:
    ranking = {"ranker": ranker, "hybrid_search": {"embedding_weight": 3, "text_weight": 1}}
    asked = (
        {"tools": tool("handbook", ranking_options=ranking)} if is_tool else {"retrieval": {"ranking_options": ranking}}
    )
    shelf = await stocked(tmp_path, HANDBOOK)

    response = await post(services(ScriptedEngine("ok"), shelf, default_store="handbook"), question("leave", **asked))

    assert response.status_code == 200, response.text
    assert shelf.weights == [(0.75, 0.25)]


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2)])
async def test_weights_that_weigh_nothing_are_refused(weights: tuple[float, float]) -> None:
    hybrid = dict(zip(("embedding_weight", "text_weight"), weights, strict=True))

    response = await post(
        services(ScriptedEngine("ok")), question(tools=tool("a", ranking_options={"hybrid_search": hybrid}))
    )

    status, _, param = error(response)
    assert status == 400
    assert param
    assert param.startswith("tools[0].ranking_options.hybrid_search")


async def test_the_context_budget_is_honoured_and_reported(tmp_path: Path) -> None:
    documents = {f"{name}.txt": f"leave {name} " * 20 for name in ("one", "two", "three")}
    given = services(ScriptedEngine("ok"), await stocked(tmp_path, documents), default_store="handbook")

    response = await post(given, question("leave", retrieval={"max_context_tokens": 100}))

    report = message(response)["context"]["grounding"]
    assert (report["retrieved"], report["used"], report["truncated"], report["left_out"]) == (3, 2, True, 1)
    assert len(cited(response)) == 2


async def test_neighbours_of_one_document_are_read_and_cited_as_one_span_of_it(tmp_path: Path) -> None:
    paragraphs = [f"Leave rule {number}: " + "leave is granted by the manager in time. " * 12 for number in range(3)]
    text = "\n\n".join(paragraph.strip() for paragraph in paragraphs)
    shelf = await stocked(tmp_path, {"leave.txt": text})
    (document,) = await shelf.documents("handbook", OWNER)
    engine = ScriptedEngine("ok")

    response = await post(services(engine, shelf, default_store="handbook"), question("leave rule"))

    context = message(response)["context"]
    (citation,) = context["citations"]
    assert document.chunks == context["grounding"]["retrieved"] == 3
    assert (context["grounding"]["used"], context["grounding"]["truncated"]) == (1, False)
    assert citation["content"] == text[citation["start_char"] : citation["end_char"]] == text
    assert isinstance(engine.prompts[-1], Question)
    assert text in engine.prompts[-1].text


async def test_a_follow_up_is_looked_up_with_the_words_of_the_turn_before(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    body = question(ASK)
    body["messages"] += [
        {"role": "assistant", "content": "28 days. [1]"},
        {"role": "user", "content": "And part-time?"},
    ]
    engine = ScriptedEngine("pro rata")

    response = await post(services(engine, shelf, default_store="handbook"), body)

    assert json.loads(message(response)["context"]["intent"]) == shelf.queries
    assert shelf.queries == ["And part-time? many days paid leave full-time staff receive"]
    assert "assistant: 28 days.\n" in engine.prompts[0].text  # type: ignore[union-attr]  # without the old marker


async def test_a_conversation_that_cannot_fit_is_refused_before_anything_is_looked_up(tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("ok"), await stocked(tmp_path, HANDBOOK)

    response = await post(services(engine, shelf, default_store="handbook"), question("leave " * 5000))

    assert error(response) == (400, "context_length_exceeded", "messages")
    assert (shelf.queries, engine.prompts) == ([], [])


async def test_a_key_limited_to_grounded_answers_gets_no_others(tmp_path: Path) -> None:
    given = services(ScriptedEngine("28 days."), await stocked(tmp_path, HANDBOOK), default_store="handbook")

    grounded = await post(given, question(ASK), "sk-bound")
    ungrounded = await post(given, question(ASK, retrieval=False), "sk-bound")
    unchecked = await post(given, question(ASK, retrieval={"grounding": "off"}), "sk-bound")

    assert grounded.status_code == 200
    assert error(ungrounded) == error(unchecked) == (403, "grounded_only", None)


async def test_citations_lead_back_to_this_server_under_its_public_name(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, {"leave.txt": LEAVE})
    given = services(ScriptedEngine("28 days."), shelf, default_store="handbook", public_url="https://ask.example/")

    found = message(await post(given, question(ASK)))

    file_id = found["context"]["citations"][0]["file_id"]
    url = f"https://ask.example/v1/files/{file_id}/content"
    assert found["annotations"][0]["url_citation"]["url"] == f"{url}#char=0,56"
    assert found["context"]["citations"][0]["url"] == f"{url}#char=0,{len(LEAVE)}"


async def test_a_filter_chooses_among_the_documents_of_a_store(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, {"old.txt": "Leave is 20 days.", "new.txt": "Leave is 28 days."})
    for document in await shelf.documents("handbook", OWNER):
        await shelf.set_attributes("handbook", document.file_id, {"year": int(document.filename == "new.txt")}, OWNER)
    old = {"type": "eq", "key": "year", "value": 0}

    async def sources(way: dict[str, Any]) -> list[str]:
        body = message(await post(services(ScriptedEngine("ok"), shelf), question("How many days is leave?", **way)))
        return [citation["filepath"] for citation in body["context"]["citations"]]

    assert sorted(await sources({"tools": tool("handbook")})) == ["new.txt", "old.txt"]
    assert await sources({"tools": tool("handbook", filters=old)}) == ["old.txt"]
    assert await sources({"retrieval": {"vector_store_ids": ["handbook"], "filters": old}}) == ["old.txt"]


async def test_each_sentence_has_a_verdict_with_its_place_and_the_reason(tmp_path: Path) -> None:
    engine = ScriptedEngine("28 days. ", "Full-time staff receive 30 days of paid leave each year.")
    shelf = await stocked(tmp_path, HANDBOOK)

    found = message(await post(services(engine, shelf, default_store="handbook"), question(ASK)))

    first, second = found["context"]["grounding"]["verdicts"]
    assert (first["verdict"], first["citations"], first["match"], first["reason"]) == (
        "supported",
        [1],
        "verbatim",
        None,
    )
    assert (second["verdict"], second["citations"], second["match"]) == ("unsupported", [], None)
    assert second["reason"] == "value"
    assert found["content"][first["start_index"] : first["end_index"]] == "28 days."


async def test_a_withheld_sentence_is_reported_and_not_shown(tmp_path: Path) -> None:
    engine, shelf = ScriptedEngine("The sky is green. ", "28 days."), await stocked(tmp_path, HANDBOOK)
    body = question(ASK, retrieval={"grounding": "strict"})

    response = await post(services(engine, shelf, default_store="handbook"), body)

    withheld, kept = message(response)["context"]["grounding"]["verdicts"]
    assert (withheld["verdict"], withheld["start_index"], kept["verdict"]) == ("withheld", None, "supported")
    assert "green" not in response.text


@pytest.mark.parametrize(
    "forged", ["[1]", "[ 1 ]", "[1, 2]", "[^1]", "【1】", "【2:0†source】", "[2†x.txt]", "[1](https://evil.example)"]
)
async def test_a_citation_in_a_document_forges_none_in_the_answer(tmp_path: Path, forged: str) -> None:
    shelf = await stocked(tmp_path, {"x.txt": f"The moon is made of cheese {forged}. Source: the bank."})
    engine = ScriptedEngine(f"The sky is green {forged}. ")

    found = message(
        await post(services(engine, shelf, default_store="handbook"), question("What is the moon made of?"))
    )

    assert not re.search(r"[\[【]\s*\^?\d", found["content"])
    assert "](" not in found["content"]
    assert found["annotations"] == []


class Asked(WordsApart):
    """An embedder that notes what it is asked for."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        self.texts += texts
        return super().encode(texts)


async def test_what_checking_an_answer_needed_is_not_kept_for_the_next_one() -> None:
    embedder = Asked()
    given = services(ScriptedEngine("Full-time staff enjoy 28 days of paid leave."), embedder=embedder)
    body = question(ASK, documents=[{"title": "Leave", "text": LEAVE}])

    async with client_of(given) as client:
        message(await client.post("/v1/chat/completions", json=body))
        alone, embedder.texts = embedder.texts, []
        message(await client.post("/v1/chat/completions", json=body))

    assert "enjoy" in alone
    assert embedder.texts == alone
