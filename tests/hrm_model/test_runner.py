"""hrm_model.runner: a step reads what its own sequences have written, and nothing else of the cache.

Its numbers are held against transformers in tests/parity/test_transformers.py.
"""

from collections.abc import Sequence as Items

import pytest
import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.pages import PAGE_TOKENS
from hrm_model.runner import COPIED_PAGES, Runner
from hrm_model.sampling import Drawn
from hrm_model.sequence import Sequence
from hrm_model.types import Sampling
from tests.engines import CONFIG, Tiny

PAGES = 12


def logits_of_three_steps(tiny: Tiny, left_behind: float) -> Tensor:
    """Three sequences of different lengths, one of them with given answer tokens, in a cache that was in use before."""
    cache = PagedCache(CONFIG, PAGES, dtype=torch.float32, device="cpu")
    cache.key.fill_(left_behind)
    cache.value.fill_(left_behind)
    runner = Runner(tiny.model, cache, "cpu")
    # Page 0 is nobody's: padding that pointed there would meet what was left behind.
    shapes = ((5, 5, [3, 9]), (40, 40, [7, 1, 5]), (30, 21, [2, 8, 4]))
    batch = [
        Sequence(number, 0, [9 + number] * length, prefix, Sampling(), 8, pages)
        for number, (length, prefix, pages) in enumerate(shapes)
    ]
    steps: list[Tensor] = []
    with torch.inference_mode():
        for token in (20, 21, 22):
            steps.append(runner.forward(batch))
            for sequence in batch:
                sequence.ids.append(token)
    return torch.stack(steps)


def test_what_others_have_left_in_the_cache_is_never_read(tiny: Tiny) -> None:
    clean = logits_of_three_steps(tiny, 0.0)

    assert torch.equal(logits_of_three_steps(tiny, float("nan")), clean)
    assert clean.std() > 0.1


class CountingRunner(Runner):
    """Counts the tokens that went through the network."""

    tokens = 0

    def forward(self, sequences: Items[Sequence]) -> Tensor:
        self.tokens += sum(len(sequence.pending) for sequence in sequences)
        return super().forward(sequences)


def answers_of(tiny: Tiny, batch: list[Sequence], steps: int) -> tuple[list[list[int]], int]:
    """What each sequence says in `steps` steps, and the tokens that went through the network for it."""
    runner = CountingRunner(tiny.model, PagedCache(CONFIG, PAGES, dtype=torch.float32, device="cpu"), "cpu")
    for _ in range(steps):
        for sequence, rows in zip(batch, runner.step(batch), strict=True):
            sequence.ids += [row.token for row in rows if isinstance(row, Drawn)]
    return [sequence.ids[sequence.prompt_len :] for sequence in batch], runner.tokens


def test_choices_that_begin_together_read_their_prompt_once_and_answer_as_if_alone(tiny: Tiny) -> None:
    prompt = [9 + at % 200 for at in range(37)]
    hot = Sampling(temperature=1.0, seed=4)

    def choice(number: int, pages: list[int]) -> Sequence:
        return Sequence(1, number, list(prompt), 37, hot, 8, pages)

    other = Sequence(2, 0, [50, 51, 52], 3, hot, 8, [11])
    alone = [answers_of(tiny, [choice(number, [0, 1, 2])], 8)[0][0] for number in range(3)]
    together, tokens = answers_of(tiny, [choice(0, [0, 1, 2]), choice(1, [3, 4, 5]), other, choice(2, [6, 7, 8])], 8)

    assert [together[0], together[1], together[3]] == alone
    assert len({tuple(answer) for answer in alone}) == 3
    assert tokens == 37 + 3 + 7 * 4


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([[0, 1, 2], [3, 4, 5], [6, 7, 8]], id="evenly spaced"),
        pytest.param([[0, 1, 2], [3, 4, 5], [7, 8, 9]], id="unevenly spaced"),
        pytest.param([[8, 9, 10], [4, 5, 6], [0, 1, 2]], id="from the last to the first"),
        pytest.param([[2, 1, 0], [3, 5, 4], [6, 7, 8]], id="here and there"),
    ],
)
@pytest.mark.parametrize("lengths", [(33, 33, 33), (33, 12, 33), (1, 1, 2)], ids=str)
def test_where_pages_lie_changes_no_answer(tiny: Tiny, pages: list[list[int]], lengths: tuple[int, ...]) -> None:
    prompts = [[9 + (7 * at + 50 * number) % 200 for at in range(length)] for number, length in enumerate(lengths)]
    batch = [
        Sequence(number, 0, list(prompt), len(prompt), Sampling(temperature=0, seed=0), 6, mine)
        for number, (prompt, mine) in enumerate(zip(prompts, pages, strict=True))
    ]

    answers, _ = answers_of(tiny, batch, 6)

    assert answers == [tiny.greedy_ids(prompt, 6) for prompt in prompts]


class RecordingCache(PagedCache):
    """Remembers to which rows each copy went."""

    def __init__(self, pages: int) -> None:
        super().__init__(CONFIG, pages, dtype=torch.float32, device="cpu")
        self.copied: list[Items[int]] = []

    def copy(self, source_rows: Items[int], target_rows: Items[int]) -> None:
        self.copied.append(target_rows)
        super().copy(source_rows, target_rows)


def test_pages_that_choices_share_are_copied_once_and_a_few_at_a_time(tiny: Tiny) -> None:
    prompt = [9 + at % 200 for at in range(16 * PAGE_TOKENS + 5)]
    cache = RecordingCache(60)
    runner = Runner(tiny.model, cache, "cpu")

    def choice(request: int, number: int, pages: list[int]) -> Sequence:
        return Sequence(request, number, list(prompt), len(prompt), Sampling(seed=0), 8, pages)

    reader = choice(1, 0, list(range(17)))
    reader.partition = "a"
    runner.step([reader])
    shared = list(range(20, 36))
    again = [choice(2, number, [*shared, 40 + number]) for number in range(3)]
    for one in again:
        one.first, one.source, one.cached = reader.fresh, reader.pages, len(prompt)
    runner.step(again)

    rows = [row for copied in cache.copied for row in copied]
    assert len(rows) == len(set(rows)) == (16 + 3) * PAGE_TOKENS
    assert max(map(len, cache.copied)) <= COPIED_PAGES * PAGE_TOKENS
    assert torch.equal(cache.key[:, 20 * PAGE_TOKENS : 36 * PAGE_TOKENS], cache.key[:, : 16 * PAGE_TOKENS])
    assert torch.equal(cache.value[:, 42 * PAGE_TOKENS :][:, :5], cache.value[:, 16 * PAGE_TOKENS :][:, :5])
