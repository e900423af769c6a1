"""An answer whose beginning is given: how likely it was, and that it goes on as if it had been drawn.

What the network makes of given tokens is held against transformers in tests/parity/test_transformers.py.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.pages import pages_for
from hrm_model.runner import Runner
from hrm_model.sequence import Sequence as Running
from hrm_model.types import OneOf, Sampling, Tokens
from tests.engines import CONFIG, Reply, Tiny, reply_of, running

pytestmark = pytest.mark.anyio

PROMPT = tuple(range(30, 51))


def logprobs_of(tiny: Tiny, given: Sequence[int]) -> list[float]:
    """How likely each given token is behind the prompt, read token by token and without any engine."""
    pages = pages_for(len(PROMPT) + len(given))
    runner = Runner(tiny.model, PagedCache(CONFIG, pages, dtype=torch.float32, device="cpu"), "cpu")
    sequence = Running(0, 0, list(PROMPT), len(PROMPT), Sampling(), len(given), list(range(pages)))
    found: list[float] = []
    with torch.inference_mode():
        for token in given:
            found.append(float(runner.forward([sequence])[0].log_softmax(-1)[token]))
            sequence.ids.append(token)
    return found


async def ask(tiny: Tiny, given: Sequence[int], sampling: Sampling, *, n: int = 1, slice_tokens: int = 64) -> Reply:
    async with running(tiny.engine(slice_tokens=slice_tokens)) as engine:
        return await reply_of(engine.generate(Tokens((*PROMPT, *given), len(PROMPT)), sampling, n=n))


@pytest.mark.parametrize("slice_tokens", [1, 7, 64])
async def test_each_given_token_has_the_likelihood_that_it_had_behind_those_before_it(
    tiny: Tiny, slice_tokens: int
) -> None:
    given = [5 + at * 11 % 200 for at in range(70)]

    reply = await ask(tiny, given, Sampling(max_tokens=0, logprobs=3), n=2, slice_tokens=slice_tokens)

    expected = logprobs_of(tiny, given)
    for choice in range(2):
        assert [one.logprob for one in reply.scored[choice]] == pytest.approx(expected, abs=1e-4)
        assert [one.token for one in reply.scored[choice]] == [tiny.tokenizer.token_bytes(token) for token in given]
        assert all(len(one.top) == 3 and one.top[0][1] >= one.logprob - 1e-6 for one in reply.scored[choice])
    assert max(expected) - min(expected) > 1


WAYS = {
    "greedy": Sampling(),
    "seeded": Sampling(temperature=1.0, seed=11),
    "looking back": Sampling(temperature=0.8, seed=4, presence_penalty=0.5, repetition_penalty=1.3),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("slice_tokens", [1, 64])
@pytest.mark.parametrize("so_far", [1, 2, 20])
async def test_an_answer_goes_on_from_any_place_as_it_did(tiny: Tiny, way: str, slice_tokens: int, so_far: int) -> None:
    sampling = replace(WAYS[way], max_tokens=32, logprobs=0)
    async with running(tiny.engine()) as engine:
        whole = await reply_of(engine.generate(Tokens(PROMPT, len(PROMPT)), sampling))
    ids = whole.ids[0]

    rest = await ask(tiny, ids[:so_far], replace(sampling, max_tokens=32 - so_far), slice_tokens=slice_tokens)

    assert rest.ids[0] == ids[so_far:]
    assert len(set(ids)) > 5
    told = [one.logprob for one in (*rest.scored[0], *rest.logprobs[0])]
    assert told == pytest.approx([one.logprob for one in whole.logprobs[0]], abs=1e-4)


async def test_candidates_behind_one_prompt_read_it_once(tiny: Tiny) -> None:
    candidates = [[60, 61, 62], [70, 71], [80]]
    async with running(tiny.engine(kept_pages=8)) as engine:
        replies = [
            await reply_of(
                engine.generate(
                    Tokens((*PROMPT, *given), len(PROMPT)), Sampling(max_tokens=0, logprobs=0), partition="a"
                )
            )
            for given in candidates
        ]

    assert [reply.started[0].cached_tokens for reply in replies] == [0, len(PROMPT), len(PROMPT)]
    for reply, given in zip(replies, candidates, strict=True):
        assert [one.logprob for one in reply.scored[0]] == pytest.approx(logprobs_of(tiny, given), abs=1e-4)


async def test_scores_do_not_depend_on_who_is_scored_and_answered_beside_them(tiny: Tiny) -> None:
    given = [5 + at * 11 % 200 for at in range(40)]
    scoring = Sampling(max_tokens=3, logprobs=1)
    alone = await ask(tiny, given, scoring)
    async with running(tiny.engine(slice_tokens=8, draft_tokens=5)) as engine:
        others = [
            engine.generate(Tokens((*PROMPT, *PROMPT, token), 42), Sampling(max_tokens=30, logprobs=1), n=2)
            for token in (9, 10)
        ]
        asked = engine.generate(Tokens((*PROMPT, *given), len(PROMPT)), scoring)
        *_, together = await asyncio.gather(*map(reply_of, (*others, asked)))

    assert [one.logprob for one in together.scored[0]] == pytest.approx(
        [one.logprob for one in alone.scored[0]], abs=1e-4
    )
    assert together.texts == alone.texts


async def test_the_ids_are_those_of_what_is_said(tiny: Tiny) -> None:
    async with running(tiny.engine()) as engine:
        plain = await reply_of(engine.generate(Tokens(PROMPT, len(PROMPT)), Sampling(max_tokens=32)))
        stop = plain.texts[0][len(plain.texts[0]) // 2 :][:3]
        cut = await reply_of(engine.generate(Tokens(PROMPT, len(PROMPT)), Sampling(max_tokens=32, stop=(stop,))))

    assert tiny.tokenizer.decode(plain.ids[0]) == plain.texts[0]
    assert len(plain.ids[0]) == plain.tokens[0]
    assert cut.ids[0] == plain.ids[0][: len(cut.ids[0])]
    assert 0 < len(cut.ids[0]) < cut.tokens[0]


async def test_what_would_end_an_answer_ends_none_where_it_is_given(tiny: Tiny) -> None:
    word = tiny.tokenizer.token_bytes(70).decode()

    reply = await ask(tiny, [70, 71], Sampling(max_tokens=4, stop=(word,), stop_token_ids=(71,), logprobs=0))

    assert len(reply.scored[0]) == 2
    assert reply.finished[0].counts.completion_tokens >= 1


async def test_min_tokens_counts_what_is_drawn(tiny: Tiny) -> None:
    likeliest = tiny.greedy_ids([*PROMPT, 70, 71], 1)  # read as prompt; any token does that may be drawn
    ends = Sampling(max_tokens=6, min_tokens=3, stop_token_ids=tuple(likeliest), logit_bias=((likeliest[0], 100.0),))

    reply = await ask(tiny, [70, 71], ends)

    assert reply.finished[0].counts.completion_tokens == 4
    assert reply.finished[0].reason == "stop"


async def test_a_character_that_the_given_part_breaks_off_is_completed(tiny: Tiny) -> None:
    *first, last = tiny.tokenizer.encode("東")

    reply = await ask(tiny, first, Sampling(max_tokens=1, logit_bias=((last, 100.0),)))

    assert len(first) == 2
    assert reply.texts[0] == "東"


async def test_a_grammar_speaks_for_what_is_drawn(tiny: Tiny) -> None:
    options = ("refund", "branch")

    reply = await ask(tiny, [70, 71, 72], Sampling(max_tokens=20, logprobs=0, grammar=OneOf(options)))

    assert reply.texts[0] in options
    assert reply.finished[0].reason == "stop"
    assert len(reply.scored[0]) == 3


async def test_a_character_that_nobody_completes_is_said_in_the_end(tiny: Tiny) -> None:
    reply = await ask(tiny, tiny.tokenizer.encode("東")[:-1], Sampling(max_tokens=0, logprobs=0))

    assert reply.texts == {0: "\ufffd"}
    assert reply.finished[0].counts.completion_tokens == 0


async def test_a_stop_token_has_no_log_probability_as_the_closing_token_has_none(tiny: Tiny) -> None:
    sampling = Sampling(max_tokens=9, logprobs=1, stop_token_ids=(70,), logit_bias=((70, 100.0),), min_tokens=2)

    reply = await ask(tiny, [], sampling)

    assert reply.finished[0].counts.completion_tokens == 3
    assert len(reply.logprobs[0]) == reply.tokens[0] == 2


async def test_those_who_are_scored_together_share_what_may_hold_up_a_step(tiny: Tiny) -> None:
    steps: list[int] = []

    class Counting(Runner):
        def forward(self, sequences: Sequence[Running]) -> Tensor:
            steps.append(sum(len(sequence.pending) for sequence in sequences))
            return super().forward(sequences)

    given = [5 + at * 11 % 200 for at in range(60)]
    async with running(tiny.engine(slice_tokens=32, runner=Counting)) as engine:
        asked = engine.generate(Tokens((*PROMPT, *given), len(PROMPT)), Sampling(max_tokens=0, logprobs=0), n=4)
        await reply_of(asked)

    # Of each the latest token, and its share of the slice.
    assert max(steps) <= 4 + 32
    assert len(steps) >= 60 * 4 // 36


@pytest.mark.parametrize(("character", "read"), [("東", 1), ("東", 2), ("🙂", 1), ("🙂", 3)])
@pytest.mark.parametrize("controls", [0, 3])
async def test_a_character_may_begin_in_the_prompt_and_end_in_what_is_drawn(
    tiny: Tiny, character: str, read: int, controls: int
) -> None:
    *first, last = tiny.tokenizer.encode(character)
    mute = [token for token in range(tiny.tokenizer.vocab_size) if not tiny.tokenizer.token_bytes(token)][:controls]
    ids, prefix_len = (*PROMPT, *first[:read], *mute, *first[read:]), len(PROMPT) + read + len(mute)
    async with running(tiny.engine()) as engine:
        sampling = Sampling(max_tokens=1, logit_bias=((last, 100.0),))
        reply = await reply_of(engine.generate(Tokens(ids, prefix_len), sampling))

    assert reply.texts[0] == character
