"""Answers that keep to a grammar, from the real engine: valid whatever the schema, and the same whatever the load."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hrm_model.runner import Runner
from hrm_model.types import FunctionCall, Grammar, JsonSchema, OneOf, Question, Regex, Sampling, SpanOf
from tests.engines import Reply, Tiny, reply_of, running

pytestmark = pytest.mark.anyio

ASK = Question("Who approves a refund?")
PERSON = JsonSchema(
    json.dumps(
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 8},
                "role": {"enum": ["clerk", "branch manager"]},
                "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 31}, "maxItems": 3},
            },
            "required": ["name", "role", "days"],
        }
    )
)


async def answered(tiny: Tiny, sampling: Sampling, *, n: int = 1, **engine: Any) -> Reply:
    async with running(tiny.engine(**engine)) as started:
        return await reply_of(started.generate(ASK, sampling, n=n))


def short_values() -> st.SearchStrategy[Any]:
    return st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4)


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Small schemas whose values are short, so that an answer ends within the tokens that it may have."""
    words = st.text("abcdé ", min_size=1, max_size=4)
    leaf = st.one_of(
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.builds(
            lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
            st.integers(-50, 50),
            st.integers(0, 90),
        ),
        st.builds(lambda most: {"type": "string", "maxLength": most}, st.integers(0, 6)),
        st.builds(lambda values: {"enum": values}, st.lists(short_values(), min_size=1, max_size=3)),
        st.builds(lambda value: {"const": value}, short_values()),
        st.sampled_from([{"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,3}$"}, {"type": "string", "format": "date"}]),
    )

    def deeper(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        named = st.dictionaries(words, inner, max_size=3)
        return st.one_of(
            st.builds(lambda one, most: {"type": "array", "items": one, "maxItems": most}, inner, st.integers(0, 2)),
            st.builds(lambda each: {"anyOf": each}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(
                lambda each, needed: {
                    "type": "object",
                    "properties": each,
                    "required": [name for name in each if name in needed],
                },
                named,
                st.sets(words),
            ),
            st.builds(lambda each: {"type": "object", "properties": each, "required": list(each)}, named),
        )

    return st.recursive(leaf, deeper, max_leaves=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schema=schemas(), seed=st.integers(0, 2**32), temperature=st.sampled_from([0.0, 1.0]), drafts=st.booleans())
async def test_whatever_the_schema_the_answer_validates(
    tiny: Tiny, schema: dict[str, Any], seed: int, temperature: float, drafts: bool
) -> None:
    sampling = Sampling(temperature=temperature, seed=seed, max_tokens=600, grammar=JsonSchema(json.dumps(schema)))

    reply = await answered(tiny, sampling, draft_tokens=8 if drafts else 0)

    assert reply.finished[0].reason == "stop"
    Draft202012Validator(schema).validate(json.loads(reply.texts.get(0, "")))


@pytest.mark.parametrize(("leaning", "is_said"), [(200.0, True), (-200.0, False)])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_leaning_decides_between_an_option_and_a_span(
    tiny: Tiny, leaning: float, is_said: bool, temperature: float
) -> None:
    form = SpanOf(("the glass claim desk answers within days",), ("unknown",), leaning)

    reply = await answered(tiny, Sampling(temperature=temperature, seed=1, max_tokens=60, grammar=form))

    assert (reply.texts[0] == "unknown") == is_said
    assert reply.finished[0].reason == "stop"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_drafts_and_company_leave_structured_answers_as_they_are(tiny: Tiny, temperature: float) -> None:
    grammars: list[Grammar | SpanOf | None] = [
        SpanOf(("the glass claim desk answers within 3 days", "2 desks"), ("unanswerable",)),
        PERSON,
        Regex("[a-z]{3}( [a-z]{2,4}){2}[.]"),
        OneOf(("yes, it does", "yes, it did", "no")),
        FunctionCall((("find_desk", PERSON.text), ("find_branch", PERSON.text))),
        None,
    ]
    asked = [
        Sampling(temperature=temperature, seed=number, max_tokens=120, logprobs=2, grammar=grammar)
        for number, grammar in enumerate(grammars)
    ]

    alone = [await answered(tiny, sampling, n=2) for sampling in asked]
    async with running(tiny.engine(draft_tokens=8, max_running=16)) as engine:
        together = await asyncio.gather(*(reply_of(engine.generate(ASK, one, n=2)) for one in asked))
        drafted = [await reply_of(engine.generate(ASK, one, n=2)) for one in asked]

    for expected, *others in zip(alone, together, drafted, strict=True):
        for other in others:
            assert other.texts == expected.texts
            assert other.tokens == expected.tokens
            assert {choice: end.reason for choice, end in other.finished.items()} == {
                choice: end.reason for choice, end in expected.finished.items()
            }
            spoken = {choice: [one.token for one in tokens] for choice, tokens in other.logprobs.items()}
            assert spoken == {choice: [one.token for one in tokens] for choice, tokens in expected.logprobs.items()}


async def check_that_company_changes_nothing(
    tiny: Tiny, asked: list[dict[str, Any]], seed: int, temperature: float
) -> None:
    samplings = [
        Sampling(temperature=temperature, seed=seed + number, max_tokens=150, grammar=JsonSchema(json.dumps(schema)))
        for number, schema in enumerate(asked)
    ]
    alone = [await answered(tiny, sampling) for sampling in samplings]
    async with running(tiny.engine(draft_tokens=8, max_running=16)) as engine:
        company = reply_of(engine.generate(ASK, Sampling(max_tokens=60)))
        *together, _ = await asyncio.gather(*(reply_of(engine.generate(ASK, one)) for one in samplings), company)

    assert [reply.texts for reply in together] == [reply.texts for reply in alone]
    assert [reply.finished[0].reason for reply in together] == [reply.finished[0].reason for reply in alone]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(schemas(), min_size=1, max_size=3), seed=st.integers(0, 2**32), temperature=st.sampled_from([0, 1])
)
async def test_whatever_the_schemas_company_and_drafts_change_nothing(
    tiny: Tiny, asked: list[dict[str, Any]], seed: int, temperature: float
) -> None:
    await check_that_company_changes_nothing(tiny, asked, seed, temperature)


@pytest.mark.soak
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(schemas(), min_size=1, max_size=5), seed=st.integers(0, 2**32), temperature=st.sampled_from([0, 1])
)
async def test_the_same_for_hundreds_of_schemas(
    tiny: Tiny, asked: list[dict[str, Any]], seed: int, temperature: float
) -> None:
    await check_that_company_changes_nothing(tiny, asked, seed, temperature)


class CountingRunner(Runner):
    """Counts steps."""

    steps = 0

    def step(self, sequences: Any) -> Any:
        type(self).steps += 1
        return super().step(sequences)


async def test_what_has_to_follow_is_read_several_tokens_a_step(tiny: Tiny) -> None:
    sampling = Sampling(max_tokens=200, grammar=OneOf(("the glass claim desk answers within days",)))

    steps = []
    for draft_tokens in (0, 8):
        CountingRunner.steps = 0
        reply = await answered(tiny, sampling, runner=CountingRunner, draft_tokens=draft_tokens)
        assert reply.texts == {0: "the glass claim desk answers within days"}
        steps.append(CountingRunner.steps)

    assert steps[1] < steps[0]


async def test_a_complete_answer_ends_without_another_token(tiny: Tiny) -> None:
    sampling = Sampling(max_tokens=500, min_tokens=400, grammar=OneOf(("yes",)))

    reply = await answered(tiny, sampling)

    assert reply.texts == {0: "yes"}
    assert reply.finished[0].reason == "stop"
    assert reply.finished[0].counts.completion_tokens == reply.tokens[0], "a closing token would count"


async def test_an_answer_that_may_end_or_go_on_closes_where_nothing_else_is_open(tiny: Tiny) -> None:
    # "ab*" may always close; a bias lets no letter win against the closing token.
    ban = tuple(
        (token, -100.0) for token in range(tiny.tokenizer.vocab_size) if b"b" in tiny.tokenizer.token_bytes(token)
    )
    reply = await answered(tiny, Sampling(max_tokens=50, grammar=Regex("ab*"), logit_bias=ban))

    assert reply.texts == {0: "a"}
    assert reply.finished[0].reason == "stop"


async def test_a_limit_within_the_structure_is_reported_as_length(tiny: Tiny) -> None:
    reply = await answered(tiny, Sampling(max_tokens=3, grammar=PERSON))

    assert reply.finished[0].reason == "length"
    assert reply.texts[0].startswith("{")


async def test_penalties_and_bias_choose_among_what_is_allowed(tiny: Tiny) -> None:
    end = tiny.tokenizer.encode("no")[0]
    sampling = Sampling(grammar=OneOf(("yes", "no")), logit_bias=((end, 100.0),), repetition_penalty=2.0)
    no = await answered(tiny, sampling)
    yes = await answered(tiny, replace(sampling, logit_bias=((end, -100.0),)))

    assert (no.texts[0], yes.texts[0]) == ("no", "yes")
