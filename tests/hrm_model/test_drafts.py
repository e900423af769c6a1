"""Guesses from the prompt: where they come from, how they grow and pause, and that they change no answer."""

import random
from collections.abc import Sequence as Items
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm_model.cache import PagedCache
from hrm_model.drafts import _MOST_PLACES, Drafter, Indexed
from hrm_model.pages import pages_for
from hrm_model.request import open_request
from hrm_model.runner import Runner
from hrm_model.sampling import Drawn
from hrm_model.sequence import Sequence
from hrm_model.template import spell
from hrm_model.types import Limits, Question, Sampling
from tests.engines import CONFIG, Tiny, reply_of, running

PROMPT = [1, 7, 8, 9, 10, 11, 2, 7, 8, 30, 31, 32, 33]


def test_what_followed_the_longest_common_run_is_guessed() -> None:
    assert Drafter(Indexed(PROMPT), 3).propose([8, 9], 10) == [10, 11, 2]
    assert Drafter(Indexed(PROMPT), 3).propose([5, 2, 7, 8], 10) == [30, 31, 32]


def test_of_runs_that_have_as_much_in_common_the_latest_is_guessed_from() -> None:
    assert Drafter(Indexed([1, 2, 3, 1, 2, 4, 1, 2, 5, 9, 2, 6]), 1).propose([1, 2], 10) == [5]


class Counted(list[int]):
    """Tokens that count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        self.looks += not isinstance(at, slice)
        return super().__getitem__(at)


@pytest.mark.parametrize(("answer", "most"), [([7] * 20, 8), ([5, 7], _MOST_PLACES)])
def test_a_prompt_that_repeats_one_token_takes_few_looks(answer: list[int], most: int) -> None:
    prompt = Counted([7] * 4000)

    Drafter(Indexed(prompt), 8).propose(answer, 10)

    assert 0 < prompt.looks <= most


@pytest.mark.anyio
async def test_the_choices_of_a_request_share_an_index_that_the_first_guess_makes(tiny: Tiny) -> None:
    limits = Limits(context_tokens=256, kv_tokens=256, default_max_tokens=8, max_context_tokens=128)
    request = open_request(0, Question("Who answers?"), Sampling(), 3, limits, tiny.tokenizer, 8)
    (indexed,) = {id(drafter._prompt): drafter._prompt for drafter in request.drafters}.values()
    assert indexed._places is None

    request.drafters[1].propose([indexed.tokens[-2]], 4)

    assert indexed._places is not None


def test_one_common_token_is_enough_where_the_prompt_has_it_once() -> None:
    assert Drafter(Indexed(PROMPT), 2).propose([30], 10) == [31, 32]
    assert Drafter(Indexed(PROMPT), 2).propose([8], 10) == []


@pytest.mark.parametrize(("longest", "room", "answer"), [(0, 9, [30]), (4, 0, [30]), (4, 9, []), (4, 9, [99])])
def test_nothing_is_guessed_without_room_or_reason(longest: int, room: int, answer: list[int]) -> None:
    assert Drafter(Indexed(PROMPT), longest).propose(answer, room) == []


def test_guesses_end_with_the_room_and_with_the_prompt() -> None:
    assert Drafter(Indexed(PROMPT), 8).propose([9], 2) == [10, 11]
    assert Drafter(Indexed(PROMPT), 8).propose([31], 9) == [32, 33]


def test_wrong_guesses_shrink_then_pause_and_are_tried_again() -> None:
    drafter = Drafter(Indexed(list(range(200))), 8)
    answer, sizes = [5], []
    for _ in range(80):
        guess = drafter.propose(answer, 100)
        sizes.append(len(guess))
        answer.append(5)
        if guess:
            drafter.learn(len(guess), 0, len(answer))

    assert sizes[:3] == [4, 1, 1]
    pause = sizes.index(0)
    assert sizes[pause : pause + 25] == [0] * 25
    assert any(sizes[pause + 25 :])
    assert sum(map(bool, sizes)) < 12, "a reader who is never right is hardly ever asked"


def test_right_guesses_double_to_the_longest_and_half_right_ones_shrink_to_what_was_right_and_one_more() -> None:
    drafter, sizes = Drafter(Indexed(list(range(200))), 12), []
    for accepted in (4, 8, 12, 5, 3, 4):
        sizes.append(len(drafter.propose([5], 100)))
        drafter.learn(sizes[-1], accepted, 10)

    assert sizes == [4, 8, 12, 12, 6, 4]
    assert len(drafter.propose([5], 100)) == 8
    assert len(Drafter(Indexed(list(range(200))), 2).propose([5], 100)) == 2


def answered(tiny: Tiny, prompts: Items[list[int]], sampling: Sampling, count: int, guesses: random.Random | None,
             truth: Items[list[int]] = ()) -> tuple[list[list[int]], int]:  # fmt: skip
    """Answers of a batch, with drafts that are right for a while; returns them and the number of right guesses."""
    pages = [pages_for(len(prompt) + count) for prompt in prompts]
    runner = Runner(tiny.model, PagedCache(CONFIG, sum(pages), dtype=torch.float32, device="cpu"), "cpu")
    first = [sum(pages[:index]) for index in range(len(pages))]
    batch = [
        Sequence(index, 0, list(prompt), len(prompt), sampling, count, list(range(start, start + size)))
        for index, (prompt, start, size) in enumerate(zip(prompts, first, pages, strict=True))
    ]
    right = 0
    while open_ones := [s for s in batch if len(s.ids) - s.prompt_len < count]:
        for sequence in open_ones:
            done = len(sequence.ids) - sequence.prompt_len
            if guesses is not None and done:
                room = count - done - 1
                drafted = truth[sequence.request][done : done + min(room, guesses.randint(0, 6))]
                sequence.draft = [t if guesses.random() < 0.8 else guesses.randrange(300) for t in drafted]
        for sequence, rows in zip(open_ones, runner.step(open_ones), strict=True):
            right += len(rows) - 1
            for row in rows:
                assert isinstance(row, Drawn)
                sequence.ids.append(row.token)
    return [sequence.ids[sequence.prompt_len :] for sequence in batch], right


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), temperature=st.sampled_from([0.0, 1.0]), batch=st.integers(1, 4))
def test_right_and_wrong_drafts_leave_every_answer_as_it_is(
    tiny: Tiny, seed: int, temperature: float, batch: int
) -> None:
    chance = random.Random(seed)
    prompts = [[chance.randrange(300) for _ in range(chance.randint(1, 40))] for _ in range(batch)]
    sampling = Sampling(temperature=temperature, seed=seed)

    alone = [answered(tiny, [prompt], sampling, 20, None)[0][0] for prompt in prompts]
    # The request's number decides no draw, so a batch of the same prompts has the same answers.
    drafted, right = answered(tiny, prompts, sampling, 20, chance, alone)

    assert drafted == alone
    assert right > 0, "drafts that are all wrong show nothing"


@pytest.mark.anyio
async def test_an_engine_that_drafts_says_the_same_and_counts_what_was_right(tiny: Tiny) -> None:
    # A random network repeats its prompt by chance alone; one that holds all its likely answers has some chances.
    spoken = tiny.greedy_ids(spell(Question("Who answers?"), tiny.tokenizer), 200)
    ask = Question("Who answers? " + tiny.tokenizer.decode(spoken))
    sampling = Sampling(max_tokens=120, temperature=0.4, seed=5)

    async with running(tiny.engine()) as engine:
        expected = await reply_of(engine.generate(ask, sampling, n=2))
        assert engine.load().drafted_tokens == 0
    async with running(tiny.engine(draft_tokens=6)) as engine:
        drafted = await reply_of(engine.generate(ask, sampling, n=2))
        load = engine.load()

    assert drafted.texts == expected.texts
    assert drafted.tokens == expected.tokens
    assert load.drafted_tokens > 0
    assert load.accepted_tokens <= load.drafted_tokens
