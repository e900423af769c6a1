"""Structured answers that are refused, fail or are cut off: each for itself, and with its reason."""

import asyncio
import json
from typing import Any

import pytest

from hrm_model.errors import EngineClosed, GrammarFault, InvalidGrammar, InvalidSampling
from hrm_model.types import Failed, Finished, JsonSchema, OneOf, Question, Regex, Sampling
from tests.engines import Reply, Tiny, reply_of, running
from tests.waiting import until

pytestmark = pytest.mark.anyio

ASK = Question("Who approves a refund?")


async def answered(tiny: Tiny, sampling: Sampling, *, n: int = 1) -> Reply:
    async with running(tiny.engine()) as started:
        return await reply_of(started.generate(ASK, sampling, n=n))


async def test_a_fault_in_mid_answer_ends_that_choice_and_no_other(tiny: Tiny) -> None:
    hard = Sampling(max_tokens=400, grammar=Regex("(b|c){40}((((a{50,100}){50,100}){50,100}){50,100})"))
    async with running(tiny.engine()) as engine:
        failed, fine = await asyncio.gather(
            reply_of(engine.generate(ASK, hard)), reply_of(engine.generate(ASK, Sampling(max_tokens=100)))
        )
        after = await reply_of(engine.generate(ASK, Sampling(grammar=OneOf(("yes",)))))

    end = failed.ends[0]
    assert isinstance(end, Failed)
    assert isinstance(end.error, GrammarFault)
    assert fine.finished[0].reason == "length"
    assert after.texts == {0: "yes"}


def written_freely(tiny: Tiny, texts: str, **sampling: Any) -> tuple[Tiny, Sampling]:
    """A network without opinions, and a sampling that leaves it those texts of one token each."""
    flat = tiny.changed(lambda model: model.lm_head.weight.zero_())
    open_ones = {tiny.tokenizer.encode(text)[0] for text in texts}
    ban = tuple((token, -100.0) for token in range(tiny.tokenizer.vocab_size) if token not in open_ones)
    given = sampling.pop("logit_bias", {})
    bias = tuple((tiny.tokenizer.encode(text)[0], value) for text, value in given.items())
    return flat, Sampling(max_tokens=60, logit_bias=(*bias, *ban), **sampling)


async def test_a_fault_in_one_choice_leaves_its_siblings_as_they_are_alone(tiny: Tiny) -> None:
    grammar = Regex("x[a-f]{30}z|(((([a-f]{1,100}){1,100}){1,100}){1,100})")
    flat, sampling = written_freely(tiny, "abcdefxz", temperature=1.0, seed=3, grammar=grammar, logit_bias={"x": 2.0})

    alone = await answered(flat, sampling)
    four = await answered(flat, sampling, n=4)

    assert alone.finished[0].reason == "stop"
    assert four.texts[0] == alone.texts[0]
    assert isinstance(four.ends[0], Finished)
    assert any(isinstance(end, Failed) for end in four.ends.values()), "or nothing has been shown"


@pytest.mark.parametrize("leaning", [15.75, 15.15, 14.55])
async def test_guesses_bring_no_fault_that_the_answer_alone_does_not_meet(tiny: Tiny, leaning: float) -> None:
    grammar = Regex("[a-f]*z|(((([a-f]{1,100}){1,100}){1,100}){1,100})")
    bias = {letter: 20.0 - 0.3 * rank for rank, letter in enumerate("abcdef")} | {"z": leaning}
    flat, sampling = written_freely(tiny, "abcdefz", frequency_penalty=2.0, grammar=grammar, logit_bias=bias)

    replies = []
    for draft_tokens in (0, 8):
        async with running(flat.engine(draft_tokens=draft_tokens)) as engine:
            replies.append(await reply_of(engine.generate(Question("abcdef" * 6), sampling)))
            drafted = engine.load().drafted_tokens

    plain, guessed = replies
    assert drafted > 0
    assert guessed.texts == plain.texts
    assert [type(end) for end in guessed.ends.values()] == [type(end) for end in plain.ends.values()]


async def test_a_drain_lets_what_is_being_compiled_have_its_turn(tiny: Tiny) -> None:
    async with running(tiny.engine()) as engine:
        asked = [
            asyncio.create_task(reply_of(engine.generate(ASK, Sampling(grammar=OneOf(("yes",)))))) for _ in range(5)
        ]
        await asyncio.sleep(0)

        await engine.drain(60)

        assert [(await reply).texts for reply in asked] == [{0: "yes"}] * 5


async def test_a_drain_without_time_tells_who_waits_for_a_grammar(tiny: Tiny) -> None:
    wide = JsonSchema(json.dumps({"properties": {f"p{number}": {"type": "string"} for number in range(300)}}))
    async with running(tiny.engine()) as engine:
        asked = [asyncio.create_task(reply_of(engine.generate(ASK, Sampling(grammar=wide)))) for _ in range(5)]
        await until(lambda: engine._grammars._quick._turns.asked == 5)

        await engine.drain(0)

        ends = await asyncio.gather(*asked, return_exceptions=True)
    assert not any(isinstance(end, asyncio.CancelledError) for end in ends)
    assert sum(isinstance(end, EngineClosed) for end in ends) >= 4, "all but the one that was being compiled"


@pytest.mark.parametrize(
    ("sampling", "error"),
    [
        (Sampling(grammar=JsonSchema('{"type": "str"}')), InvalidGrammar),
        (Sampling(grammar=Regex("(")), InvalidGrammar),
        (Sampling(grammar=Regex("a"), ignore_eos=True), InvalidSampling),
    ],
)
async def test_a_bad_grammar_is_refused_before_anything_starts(tiny: Tiny, sampling: Sampling, error: type) -> None:
    async with running(tiny.engine()) as engine:
        with pytest.raises(error):
            await anext(engine.generate(ASK, sampling))
        assert engine.load().waiting == 0
