"""POST /v1/completions, as a client sees it: prompts of four kinds, echoes, log probabilities, and what is refused."""

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm_model.errors import ContextLengthExceeded, EngineError, EngineOverloaded
from hrm_model.types import Limits, Prompt, Question, Sampling, Spelled, TokenLogprob, Tokens
from server.completion_form import CompletionForm
from server.events import Opened, Recited, Said, Spoken
from server.schemas.completion import Completion, CompletionChunk
from server.schemas.objects import ErrorBody
from tests.fakes.engine import VOCABULARY, ScriptedEngine, id_of
from tests.fakes.serving import MODEL, chunks, client_of, frames, listening, services

pytestmark = pytest.mark.anyio

ROUTE = "/v1/completions"


def asking(prompt: Any = "Why is it dark?", **extra: Any) -> dict[str, Any]:
    return {"model": MODEL, "prompt": prompt, **extra}


async def post(engine: ScriptedEngine, body: dict[str, Any], key: str = "sk-ann", **policy: Any) -> httpx.Response:
    async with client_of(services(engine, **policy), key) as client:
        return await client.post(ROUTE, json=body)


async def answered(engine: ScriptedEngine, body: dict[str, Any]) -> dict[str, Any]:
    """The whole answer, after checking it against its published description."""
    response = await post(engine, body)
    assert response.status_code == 200, response.text
    Completion.model_validate(response.json())
    answer: dict[str, Any] = response.json()
    return answer


def form_of(*prompts: Spelled) -> CompletionForm:
    return CompletionForm(prompts=prompts, n=1, with_echo=bool(prompts), with_logprobs=True, with_ids=False)


def folded(body: str) -> list[dict[str, Any]]:
    """The choices of a stream, put together as clients do."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks(body):
        CompletionChunk.model_validate(chunk)
        for new in chunk["choices"]:
            old = choices.setdefault(new["index"], {"index": new["index"], "text": "", "logprobs": None})
            old["text"] += new["text"]
            old["finish_reason"] = new["finish_reason"]
            if "token_ids" in new:
                old.setdefault("prompt_token_ids", new.get("prompt_token_ids"))
                old["token_ids"] = old.get("token_ids", []) + new["token_ids"]
            if new["logprobs"]:
                so_far = old["logprobs"] or {name: [] for name in new["logprobs"]}
                old["logprobs"] = {name: so_far[name] + added for name, added in new["logprobs"].items()}
    return [choices[index] for index in sorted(choices)]


async def test_an_answer_is_a_text_completion() -> None:
    answer = await answered(ScriptedEngine("The sun ", "has set."), asking())

    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert answer["model"] == MODEL
    assert answer["choices"] == [{"index": 0, "text": "The sun has set.", "logprobs": None, "finish_reason": "stop"}]
    assert answer["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Why?", [Question("Why?")]),
        (["Why?", "How?"], [Question("Why?"), Question("How?")]),
        ([5, 6, 7], [Tokens((5, 6, 7), 3)]),
        ([[5, 6], [7]], [Tokens((5, 6), 2), Tokens((7,), 1)]),
    ],
    ids=["text", "texts", "ids", "lists of ids"],
)
async def test_every_kind_of_prompt_reaches_the_engine_as_it_is(prompt: Any, expected: list[Prompt]) -> None:
    engine = ScriptedEngine("ok")

    answer = await answered(engine, asking(prompt))

    assert engine.prompts == expected
    assert [choice["text"] for choice in answer["choices"]] == ["ok"] * len(expected)


async def test_choices_are_counted_through_prompt_by_prompt() -> None:
    engine = ScriptedEngine(script=lambda prompt: [prompt.text] if isinstance(prompt, Question) else [])

    answer = await answered(engine, asking(["a", "b c"], n=2))

    assert [(choice["index"], choice["text"]) for choice in answer["choices"]] == [
        (0, "a"),
        (1, "a"),
        (2, "b c"),
        (3, "b c"),
    ]
    assert answer["usage"]["prompt_tokens"] == 4 + 5
    assert answer["usage"]["completion_tokens"] == 4 * 2


async def test_sampling_reaches_the_engine_as_asked() -> None:
    engine = ScriptedEngine("ok")
    given = {"temperature": 1, "top_p": 0.9, "top_k": 4, "min_p": 0.1, "seed": 7, "stop": ["x"], "max_tokens": 5}
    more = {"presence_penalty": 1, "logit_bias": {"3": -100}, "stop_token_ids": [9], "min_tokens": 2, "logprobs": 5}

    await answered(engine, asking(**given, **more))

    assert engine.samplings == [
        Sampling(
            temperature=1.0,
            top_p=0.9,
            top_k=4,
            min_p=0.1,
            seed=7,
            stop=("x",),
            max_tokens=5,
            presence_penalty=1.0,
            logit_bias=((3, -100.0),),
            stop_token_ids=(9,),
            min_tokens=2,
            logprobs=5,
        )
    ]


async def test_who_asks_the_same_twice_without_a_seed_gets_two_samples() -> None:
    engine = ScriptedEngine("ok")

    await answered(engine, asking(["Name a colour"] * 64, temperature=1))

    assert len({sampling.seed for sampling in engine.samplings}) == 64


async def test_a_seed_of_the_clients_is_every_prompts_and_so_an_answer_depends_on_no_prompt_beside_it() -> None:
    engine = ScriptedEngine("ok")

    await answered(engine, asking(["Name a colour", "Name a town"], temperature=1, seed=7))
    await answered(engine, asking("Name a town", temperature=1, seed=7))

    assert [sampling.seed for sampling in engine.samplings] == [7, 7, 7]


async def test_log_probabilities_have_their_places_in_the_text() -> None:
    choice = (await answered(ScriptedEngine("The sun ", "has ", "set."), asking(logprobs=1)))["choices"][0]

    assert choice["logprobs"] == {
        "tokens": ["The sun ", "has ", "set."],
        "token_logprobs": [-0.25, -0.25, -0.25],
        "top_logprobs": [{"The sun ": -0.25}, {"has ": -0.25}, {"set.": -0.25}],
        "text_offset": [0, 8, 12],
    }


def test_parts_of_a_character_begin_where_it_does() -> None:
    # "a東b🙂": a token begins before a character and another ends behind it.
    parts = (b"a\xe6", b"\x9d", b"\xb1b", b"\xf0\x9f", b"\x99\x82", b"!")
    places = [0, 1, 1, 3, 3, 4]
    logprobs = tuple(TokenLogprob(part, -0.25) for part in parts)
    form = form_of(Spelled(" a東b🙂!\n", (b"", *parts, b""), ()))

    echoed = form.chunks(Opened(0, None))[0]["logprobs"]
    said = [
        form.chunks(Said(0, text, tokens))[0]["logprobs"]
        for text, tokens in (("a", logprobs[:1]), ("東b", logprobs[1:3]), ("🙂!", logprobs[3:]))
    ]

    assert echoed["text_offset"] == [1, *(1 + place for place in places), 6]
    assert [place for each in said for place in each["text_offset"]] == [7 + place for place in places]
    assert said[1]["tokens"] == ["\ufffd", "\ufffdb"]


def test_a_token_behind_a_broken_character_begins_behind_it() -> None:
    form = form_of()
    tokens = tuple(TokenLogprob(token, -0.25) for token in (b"a", b"\xe6", b"", b"lova", b"\xe6", b"\xb1", b"\xe6\x9d"))

    said = form.chunks(Said(0, "a\ufffdlova\ufffd\ufffd", tokens))[0]["logprobs"]

    assert said["text_offset"] == [0, 1, 1, 2, 6, 6, 7]


@pytest.mark.parametrize("given", [0, 1])
def test_a_character_that_begins_in_the_prompt_is_one(given: int) -> None:
    form = form_of(Spelled("a", (b"a", b"\xe6"), ()))
    answer = tuple(TokenLogprob(token, -0.25) for token in (b"\x9d", b"\xb1", b"b"))

    events: list[Spoken] = [
        Opened(0, None),
        *([Recited(0, "", answer[:given])] if given else []),
        Said(0, "東b", answer[given:]),
    ]
    told = [form.chunks(event)[0]["logprobs"] for event in events]

    assert [at for each in told for at in each["text_offset"]] == [0, 1, 1, 1, 2]


def test_that_is_so_without_an_echo_too() -> None:
    prompt = Spelled("a\ufffd", (b"a", b"\xe6"), (1, 2))
    form = CompletionForm(prompts=[prompt], n=1, with_echo=False, with_logprobs=True, with_ids=False)
    answer = tuple(TokenLogprob(token, -0.25) for token in (b"S", b"S"))

    assert form.chunks(Opened(0, None)) == []
    assert form.chunks(Said(0, "\ufffdSS", answer))[0]["logprobs"]["text_offset"] == [1, 2]


async def test_without_alternatives_the_drawn_token_is_told_alone() -> None:
    choice = (await answered(ScriptedEngine("a", "b"), asking(logprobs=0)))["choices"][0]

    assert choice["logprobs"]["top_logprobs"] == [{"a": -0.25}, {"b": -0.25}]


async def test_an_answer_without_tokens_has_log_probabilities_of_none() -> None:
    choice = (await answered(ScriptedEngine("a", "b"), asking(logprobs=1, stop="a")))["choices"][0]

    assert choice["text"] == ""
    assert choice["logprobs"] == {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}


async def test_an_echo_begins_with_the_prompt_whose_log_probabilities_are_null() -> None:
    choice = (await answered(ScriptedEngine(" Yes", "."), asking("Is it dark?", echo=True, logprobs=1)))["choices"][0]

    assert choice["text"] == "Is it dark? Yes."
    assert choice["logprobs"] == {
        "tokens": ["", "", "Is ", "it ", "dark?", "", " Yes", "."],
        "token_logprobs": [None] * 6 + [-0.25] * 2,
        "top_logprobs": [None] * 6 + [{" Yes": -0.25}, {".": -0.25}],
        "text_offset": [0, 0, 0, 3, 6, 11, 11, 15],
    }


async def test_token_ids_are_echoed_as_text() -> None:
    answer = await answered(ScriptedEngine("!"), asking([[5, 6], [7]], echo=True))

    assert [choice["text"] for choice in answer["choices"]] == ["<5><6>!", "<7>!"]
    assert answer["choices"][0]["logprobs"] is None


async def test_ids_beyond_the_prefix_are_the_beginning_of_the_answer() -> None:
    engine = ScriptedEngine("!")

    await answered(engine, asking([5, 6, 7], prefix_len=2))
    await answered(engine, asking([[5, 6, 7], [8, 9]], prefix_len=1))
    await answered(engine, asking([[5, 6, 7], [8, 9]], prefix_len=[0, 2]))

    assert engine.prompts == [
        Tokens((5, 6, 7), 2),
        Tokens((5, 6, 7), 1),
        Tokens((8, 9), 1),
        Tokens((5, 6, 7), 0),
        Tokens((8, 9), 2),
    ]


@pytest.mark.parametrize("max_tokens", [0, 4])
async def test_given_answers_are_scored_and_prompts_are_not(max_tokens: int) -> None:
    drawn = "!" if max_tokens else ""
    body = asking([[5, 6, 7], [8]], prefix_len=1, echo=True, logprobs=1, max_tokens=max_tokens, n=2)

    answer = await answered(ScriptedEngine("!"), body)

    assert [choice["text"] for choice in answer["choices"]] == [f"<5><6><7>{drawn}"] * 2 + [f"<8>{drawn}"] * 2
    assert answer["choices"][1]["logprobs"] == {
        "tokens": ["<5>", "<6>", "<7>", *drawn],
        "token_logprobs": [None, -0.25, -0.25, *[-0.25] * len(drawn)],
        "top_logprobs": [None, {"<6>": -0.25}, {"<7>": -0.25}, *[{"!": -0.25}] * len(drawn)],
        "text_offset": [0, 3, 6, *[9] * len(drawn)],
    }
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop" if max_tokens else "length"}
    assert answer["usage"]["prompt_tokens"] == 4
    assert (answer["usage"]["completion_tokens"] > 0) == (max_tokens > 0)
    assert folded((await post(ScriptedEngine("!"), {**body, "stream": True})).text) == answer["choices"]


async def test_what_was_given_has_no_say_in_which_answer_is_best_and_is_told_with_each() -> None:
    body = asking([5, 6, 7], prefix_len=1, echo=True, logprobs=0, best_of=3, n=2, temperature=1)

    choices = (await answered(ScriptedEngine("a", "b"), body))["choices"]

    assert [choice["text"] for choice in choices] == ["<5><6><7>ab"] * 2
    assert [choice["logprobs"]["tokens"] for choice in choices] == [["<5>", "<6>", "<7>", "a", "b"]] * 2


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("logprobs", [None, 1])
async def test_ids_are_those_of_each_prompt_and_of_what_was_drawn(echo: bool, logprobs: int | None) -> None:
    body = asking([[5, 6, 7], [8]], prefix_len=1, return_token_ids=True, echo=echo, logprobs=logprobs, stop=["c"])

    answer = await answered(ScriptedEngine("a", "b", "c"), body)
    streamed = folded((await post(ScriptedEngine("a", "b", "c"), {**body, "stream": True})).text)

    told = [(choice["prompt_token_ids"], choice["token_ids"]) for choice in answer["choices"]]
    assert told == [([5, 6, 7], [id_of("a"), id_of("b")]), ([8], [id_of("a"), id_of("b")])]
    assert streamed == answer["choices"]
    assert [choice["text"] for choice in streamed] == (["<5><6><7>ab", "<8>ab"] if echo else ["ab", "ab"])


async def test_a_text_has_the_ids_that_the_model_reads_and_the_best_answers_have_theirs() -> None:
    body = asking("Is it dark?", return_token_ids=True, best_of=3, n=2, temperature=1)

    choices = (await answered(ScriptedEngine("a", "b"), body))["choices"]

    assert [choice["token_ids"] for choice in choices] == [[id_of("a"), id_of("b")]] * 2
    assert all(len(choice["prompt_token_ids"]) == 3 + 3 for choice in choices)


async def test_nobody_gets_ids_who_does_not_ask() -> None:
    (choice,) = (await answered(ScriptedEngine("a"), asking([5, 6])))["choices"]

    assert choice.keys() == {"index", "text", "logprobs", "finish_reason"}


async def test_without_an_echo_what_was_given_is_not_told() -> None:
    (choice,) = (await answered(ScriptedEngine("!"), asking([5, 6, 7], prefix_len=1, logprobs=1)))["choices"]

    assert (choice["text"], choice["logprobs"]["tokens"]) == ("!", ["!"])


WORDS = st.lists(st.sampled_from(["sun", "é", "🙂", "a b"]), min_size=1, max_size=3).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(
    prompt=st.one_of(WORDS, st.lists(WORDS, min_size=1, max_size=3), st.lists(st.integers(0, 99), min_size=1)),
    pieces=st.lists(st.sampled_from(["Light ", "é", "scatters.", "\n", "STOP", "🙂"]), max_size=5),
    n=st.sampled_from([1, 2]),
    echo=st.booleans(),
    logprobs=st.sampled_from([None, 0, 2]),
    max_tokens=st.sampled_from([None, 1, 3]),
    stop=st.sampled_from([None, "STOP", ["é", "scat"]]),
    prefix=st.sampled_from([None, 0, 1]),
    ids=st.sampled_from([None, True]),
)
async def test_streamed_and_whole_say_the_same(
    prompt: Any, pieces: list[str], n: int, echo: bool, logprobs: int | None, max_tokens: int | None, stop: Any,
    prefix: int | None, ids: bool | None,
) -> None:  # fmt: skip
    body = asking(prompt, n=n, echo=echo, logprobs=logprobs, max_tokens=max_tokens, stop=stop, return_token_ids=ids)
    if isinstance(prompt[0], int):
        body["prefix_len"] = prefix
    async with client_of(services(ScriptedEngine(*pieces))) as client:
        whole = (await client.post(ROUTE, json=body)).json()
        streamed = (await client.post(ROUTE, json={**body, "stream": True})).text

    Completion.model_validate(whole)
    told = folded(streamed)
    for choice in told:
        if logprobs is not None and choice["logprobs"] is None:  # no frame had any
            choice["logprobs"] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    assert told == whole["choices"]
    for choice in whole["choices"]:
        if choice["logprobs"]:
            offsets = choice["logprobs"]["text_offset"]
            assert offsets == sorted(offsets)
            assert all(0 <= offset <= len(choice["text"]) for offset in offsets)
            assert len({len(column) for column in choice["logprobs"].values()}) == 1


async def test_a_stream_ends_with_usage_where_asked_for() -> None:
    body = asking(stream=True, stream_options={"include_usage": True})

    *said, usage = chunks((await post(ScriptedEngine("a", "b"), body)).text)

    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 7 + 3
    assert all(chunk["usage"] is None and chunk["object"] == "text_completion" for chunk in said)
    assert len({chunk["id"] for chunk in [*said, usage]}) == 1


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "prompt", "missing_required_parameter"),
        ({"prompt": None}, "prompt", "invalid_value"),
        ({"prompt": 5}, "prompt", "invalid_value"),
        ({"prompt": {"text": "x"}}, "prompt", "invalid_value"),
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": " \n"}, "prompt", "invalid_value"),
        ({"prompt": []}, "prompt", "invalid_value"),
        ({"prompt": [[]]}, "prompt[0]", "invalid_value"),
        ({"prompt": ["x", ""]}, "prompt[1]", "invalid_value"),
        ({"prompt": ["x", 5]}, "prompt[1]", "invalid_value"),
        ({"prompt": [5, "x"]}, "prompt[1]", "invalid_value"),
        ({"prompt": [5, 5.5]}, "prompt[1]", "invalid_value"),
        ({"prompt": [True]}, "prompt[0]", "invalid_value"),
        ({"prompt": [5, -1]}, "prompt[1]", "invalid_value"),
        ({"prompt": [2**40]}, "prompt[0]", "invalid_value"),
        ({"prompt": [[5], "x"]}, "prompt[1]", "invalid_value"),
        ({"prompt": [[5], [[6]]]}, "prompt[1][0]", "invalid_value"),
        ({"prompt": ["x"] * 65}, "prompt", "invalid_value"),
        ({"prompt": [VOCABULARY]}, "prompt", "invalid_prompt"),
        ({"prompt": [[5], [6, VOCABULARY]]}, "prompt[1]", "invalid_prompt"),
        ({"prompt": [VOCABULARY], "echo": True}, "prompt", "invalid_prompt"),
        ({"prompt": "x", "logprobs": 6}, "logprobs", "invalid_value"),
        ({"prompt": "x", "logprobs": -1}, "logprobs", "invalid_value"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"prompt": "x", "max_tokens": 2**70}, "max_tokens", "context_length_exceeded"),
        ({"prompt": "x", "max_tokens": -1, "echo": True}, "max_tokens", "invalid_value"),
        ({"prompt": "x", "prefix_len": 1}, "prefix_len", "invalid_value"),
        ({"prompt": ["x", "y"], "prefix_len": [1, 1]}, "prefix_len[0]", "invalid_value"),
        ({"prompt": [5, 6], "prefix_len": 3}, "prefix_len", "invalid_value"),
        ({"prompt": [5, 6], "prefix_len": -1}, "prefix_len", "invalid_value"),
        ({"prompt": [5, 6], "prefix_len": True}, "prefix_len", "invalid_value"),
        ({"prompt": [5, 6], "prefix_len": "1"}, "prefix_len", "invalid_value"),
        ({"prompt": [5, 6], "prefix_len": [1, 1]}, "prefix_len", "invalid_value"),
        ({"prompt": [[5], [6]], "prefix_len": [1]}, "prefix_len", "invalid_value"),
        ({"prompt": [[5], [6]], "prefix_len": []}, "prefix_len", "invalid_value"),
        ({"prompt": [[5], [6]], "prefix_len": [1, 2]}, "prefix_len[1]", "invalid_value"),
        ({"prompt": [[5], [6]], "prefix_len": [1, "2"]}, "prefix_len[1]", "invalid_value"),
        ({"prompt": "x", "n": 5}, "n", "invalid_value"),
        ({"prompt": "x", "suffix": "y"}, "suffix", "unsupported_parameter"),
        ({"prompt": "x", "best_of": 0}, "best_of", "invalid_value"),
        ({"prompt": "x", "best_of": 5}, "best_of", "invalid_value"),
        ({"prompt": "x", "best_of": 1, "n": 2}, "best_of", "invalid_value"),
        ({"prompt": "x", "messages": []}, "messages", "unknown_parameter"),
        ({"prompt": "x", "retrieval": True}, "retrieval", "unknown_parameter"),
        ({"prompt": "x", "stream_options": {}}, "stream_options", "invalid_value"),
        ({"prompt": "x", "min_tokens": 9, "max_tokens": 8}, "min_tokens", "invalid_value"),
        ({"prompt": "x", "logit_bias": {str(VOCABULARY): 1}}, "logit_bias", "invalid_value"),
        ({"prompt": "x", "model": f"{MODEL}@handbook"}, "model", "invalid_value"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_wrong_is_a_400_that_names_the_parameter(
    body: dict[str, Any], param: str, code: str, stream: bool
) -> None:
    engine = ScriptedEngine("ok")
    body = {"model": MODEL, **body}
    if "stream_options" not in body:
        body["stream"] = stream

    response = await post(engine, body, max_choices=4)

    ErrorBody.model_validate(response.json())
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code), error
    assert engine.open == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_over_the_context_is_refused_with_all_the_others(stream: bool) -> None:
    limits = Limits(context_tokens=40, kv_tokens=65536, default_max_tokens=8, max_context_tokens=20)
    engine = ScriptedEngine("ok", limits=limits)

    alone = await post(engine, asking("why " * 50, stream=stream))
    third = await post(engine, asking(["a", "b", "why " * 50, "c"], stream=stream))

    assert alone.json()["error"] == {
        "message": "The prompt is 53 tokens; the model reads at most 40.",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": "context_length_exceeded",
    }
    assert (third.status_code, third.json()["error"]["param"]) == (400, "prompt[2]")
    assert engine.open == 0


async def test_the_alias_without_a_store_is_the_model_itself() -> None:
    assert (await answered(ScriptedEngine("ok"), asking(model=f"{MODEL}@none")))["choices"][0]["text"] == "ok"


async def test_a_model_that_is_not_served_is_a_404() -> None:
    response = await post(ScriptedEngine("ok"), asking(model="gpt-4o"))

    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("sk-wrong", 401, "invalid_api_key"),
        ("sk-probe", 403, "insufficient_permissions"),
        ("sk-bound", 403, "grounded_only"),
    ],
)
async def test_who_may_not_ask_is_turned_away_before_any_work_is_done(key: str, status: int, code: str) -> None:
    engine = ScriptedEngine("ok")

    response = await post(engine, asking(), key)

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert engine.prompts == []


async def test_a_full_engine_asks_the_client_to_come_back() -> None:
    engine = ScriptedEngine("ok", max_running=2)

    response = await post(engine, asking(["a", "b", "c"]), retry_after_s=3)

    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
    assert response.json()["error"]["code"] == "engine_overloaded"
    assert engine.open == 0


async def test_a_refusal_of_the_engine_names_the_prompt_and_no_message() -> None:
    response = await post(ScriptedEngine(refusal=ContextLengthExceeded(9000, 4096, 100)), asking())

    assert response.json()["error"]["param"] == "prompt"


async def test_a_failure_mid_stream_is_an_error_frame_and_never_done() -> None:
    engine = ScriptedEngine("Light ", "scatters.", failure=EngineError("CUDA fell over"), fail_after=1)

    response = await post(engine, asking(["a", "b"], stream=True))
    whole = await post(engine, asking(["a", "b"]))

    assert json.loads(frames(response.text)[-1])["error"]["code"] == "internal_error"
    assert whole.status_code == 500
    assert "CUDA" not in response.text + whole.text
    assert engine.open == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_the_engine_of_all_its_prompts(stream: bool) -> None:
    engine = ScriptedEngine("Light ", "scatters.")
    engine.gate.clear()
    async with listening(services(engine, heartbeat_s=60)) as url:
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": "Bearer sk-ann"}) as client:
            reading = asyncio.create_task(client.post(ROUTE, json=asking(["a", "b", "c"], stream=stream)))
            await asyncio.wait_for(engine.busy.wait(), 5)
            reading.cancel()
        await asyncio.wait_for(engine.idle.wait(), 5)

    assert engine.open == 0
    assert len(engine.prompts) == 3


async def test_it_is_counted_and_logged_like_a_chat(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with client_of(services(ScriptedEngine("a", "b"))) as client:
            await client.post(ROUTE, json=asking(["x", "y"], n=2))
        async with client_of(services(ScriptedEngine("a")), "sk-admin") as client:
            await client.post(ROUTE, json=asking(["x", "y"], n=2))
            metrics = (await client.get("/metrics")).text

    assert "route=/v1/completions status=200 prompt_tokens=8 completion_tokens=12" in caplog.text
    assert f'vllm:request_success_total{{finished_reason="stop",model_name="{MODEL}"}} 4.0' in metrics
    assert f'vllm:prompt_tokens_total{{model_name="{MODEL}"}} 8.0' in metrics
    assert 'hrm_http_requests_total{route="/v1/completions",status="200"} 1.0' in metrics


async def test_an_overload_is_not_mistaken_for_a_bad_prompt() -> None:
    response = await post(ScriptedEngine(refusal=EngineOverloaded(1, 1)), asking(["a", "b"]))

    assert (response.status_code, response.json()["error"]["param"]) == (503, None)


async def test_a_stream_cannot_know_which_answers_are_best_and_one_of_all_may_be_streamed() -> None:
    engine = ScriptedEngine("ok")
    body = {"model": MODEL, "prompt": "x", "stream": True, "n": 2}

    refused = await post(engine, body | {"best_of": 3})
    streamed = await post(engine, body | {"best_of": 2})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "best_of")
    assert streamed.status_code == 200
    assert engine.open == 0
