"""hrm_model.request and hrm_model.ranges: what is refused when a request is opened, and what is decided for it."""

import math
import threading
from dataclasses import fields, replace
from typing import Any

import pytest

from hrm_model.errors import ContextLengthExceeded, InvalidSampling
from hrm_model.ranges import RANGES, check_sampling
from hrm_model.template import END_ANSWER, spell
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import Question, Sampling, Tokens
from tests.engines import LIMITS, Tiny, reply_of, running

pytestmark = pytest.mark.anyio

ASK = Question("Who approves a refund?")
VOCABULARY = 50


def sampled(**given: Any) -> Sampling:
    return Sampling(**given)


@pytest.mark.parametrize("name", RANGES)
def test_a_range_holds_its_bounds_and_nothing_beyond(name: str) -> None:
    low, high = RANGES[name]
    for value in (low, high):
        check_sampling(sampled(**{name: value}), vocab_size=VOCABULARY)

    for value in (low - 0.01, high + 1, math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidSampling, match=name) as refusal:
            check_sampling(sampled(**{name: value}), vocab_size=VOCABULARY)
        assert refusal.value.param == name


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"logit_bias": ((VOCABULARY, 1.0),)}, "logit_bias"),
        ({"logit_bias": ((-1, 1.0),)}, "logit_bias"),
        ({"logit_bias": ((1, 100.5),)}, "logit_bias"),
        ({"logit_bias": ((1, math.nan),)}, "logit_bias"),
        ({"logit_bias": ((1, -math.inf),)}, "logit_bias"),
        ({"logit_bias": ((1, 0.0),) * 1025}, "logit_bias"),
        ({"stop_token_ids": (1, VOCABULARY)}, "stop_token_ids"),
        ({"stop_token_ids": (-1,)}, "stop_token_ids"),
        ({"stop_token_ids": (1,) * 1025}, "stop_token_ids"),
        ({"stop": ("a", "")}, "stop"),
    ],
)
def test_lists_are_looked_through(given: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidSampling) as refusal:
        check_sampling(Sampling(**given), vocab_size=VOCABULARY)

    assert refusal.value.param == param


def test_every_number_of_a_sampling_has_a_range() -> None:
    elsewhere = {"seed", "stop", "max_tokens", "logit_bias", "stop_token_ids", "ignore_eos", "grammar"}

    assert {field.name for field in fields(Sampling)} == {*RANGES, *elsewhere}


async def test_a_shortest_answer_beyond_the_longest_is_refused(tiny: Tiny) -> None:
    async with running(tiny.engine()) as engine:
        for sampling in (Sampling(min_tokens=9, max_tokens=8), Sampling(min_tokens=25)):
            with pytest.raises(InvalidSampling, match="min_tokens"):
                await anext(engine.generate(ASK, sampling))


async def test_bans_and_stop_tokens_decide_where_an_answer_ends(tiny: Tiny) -> None:
    ids = tiny.greedy_ids(spell(ASK, tiny.tokenizer), 12)
    other = next(at for at, token in enumerate(ids) if token not in ids[:at] and at)
    close = Sampling(max_tokens=12, logit_bias=((tiny.tokenizer.control(END_ANSWER), 100.0),))
    async with running(tiny.engine()) as engine:

        async def end_of(sampling: Sampling) -> tuple[str, int]:
            end = (await reply_of(engine.generate(ASK, sampling))).finished[0]
            return end.reason, end.counts.completion_tokens

        assert await end_of(close) == ("stop", 1)
        assert await end_of(replace(close, min_tokens=5)) == ("stop", 6)
        assert await end_of(replace(close, ignore_eos=True)) == ("length", 12)
        assert await end_of(Sampling(max_tokens=12, stop_token_ids=(ids[other],))) == ("stop", other + 1)
        stopped = await reply_of(engine.generate(ASK, Sampling(max_tokens=12, stop_token_ids=(ids[other],))))

    assert stopped.texts[0] == tiny.tokenizer.decode(ids[:other])


async def test_penalties_see_the_answer_as_it_grows(tiny: Tiny) -> None:
    token = next(token for token in tiny.tokenizer.encode("z") if token not in spell(ASK, tiny.tokenizer))
    insist = Sampling(max_tokens=12, logit_bias=((token, 100.0),))
    async with running(tiny.engine()) as engine:
        again = await reply_of(engine.generate(ASK, insist))
        once = await reply_of(engine.generate(ASK, replace(insist, repetition_penalty=100.0)))

    assert again.texts[0] == "z" * 12
    assert once.texts[0][0] == "z"
    assert "z" not in once.texts[0][1:]


class Watched(Tokenizer):
    """Remembers what it encoded, and on which thread."""

    def __init__(self, own: Tokenizer) -> None:
        super().__init__(own._rust, own._controls)
        self.encoded: list[tuple[str, int]] = []

    def encode(self, text: str) -> list[int]:
        self.encoded.append((text, threading.get_ident()))
        return super().encode(text)


async def test_a_prompt_is_spelled_on_another_thread_than_the_loops(tiny: Tiny) -> None:
    watched = Watched(tiny.tokenizer)
    async with running(Tiny(tiny.model, watched).engine()) as engine:
        await reply_of(engine.generate(ASK, Sampling(max_tokens=1)))

    ((text, thread),) = watched.encoded
    assert text == ASK.text
    assert thread != threading.get_ident()


@pytest.mark.parametrize("max_tokens", [None, 5])
async def test_a_text_that_cannot_fit_is_refused_by_its_length(tiny: Tiny, max_tokens: int | None) -> None:
    watched = Watched(tiny.tokenizer)
    async with running(Tiny(tiny.model, watched).engine()) as engine:
        with pytest.raises(ContextLengthExceeded, match="The prompt is at least") as refused:
            await anext(engine.generate(Question("refund " * 600_000), Sampling(max_tokens=max_tokens)))
        with pytest.raises(ContextLengthExceeded, match="The prompt is 9000 tokens") as counted:
            await anext(engine.generate(Tokens((9,) * 9000, 9000), Sampling(max_tokens=max_tokens)))

    assert watched.encoded == []
    assert refused.value.prompt_tokens > LIMITS.context_tokens
    assert refused.value.max_tokens == counted.value.max_tokens == max_tokens
