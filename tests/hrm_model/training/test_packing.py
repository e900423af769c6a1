"""Packed batches: every pair once, none reads another, and only responses are learned.

Comparisons are exact where a masked key must weigh nothing (its softmax weight underflows to 0), and within 1e-5 in
fp32 where a pair stands elsewhere in a row, so that sums run over another length.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from hrm_model.model import HrmText
from hrm_model.training.objective import PackedAttention, answer_logits, losses
from hrm_model.training.packing import IGNORED, PackedBatch, attention_bias, densely, pack
from hrm_model.training.pairs import UNTOLD, EncodedPairs
from hrm_model.training.start import initialise
from tests.hrm_model.training.copying import config, encoded, tasks, write

ROWS, LENGTH = 3, 64


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> EncodedPairs:
    folder = tmp_path_factory.mktemp("pairs")
    mixed = [record for words in (1, 2, 4) for record in tasks(12, seed=words, words=words)]
    return encoded(write(folder / "data.jsonl", mixed), folder)


@pytest.fixture(scope="module")
def model() -> HrmText:
    return initialise(config(), seed=1)


def batches(pairs: EncodedPairs, order: list[int] | None = None) -> list[PackedBatch]:
    chosen = np.arange(len(pairs)) if order is None else np.array(order)
    return [batch for batch, _ in pack(pairs, chosen, ROWS, LENGTH)]


def pieces(batch: PackedBatch) -> list[tuple[int, list[int], list[int]]]:
    """Where each pair starts, its ids, and its targets."""
    starts = [i for i in range(len(batch.ids_T)) if batch.position_T[i] == 0 and batch.position_T[i + 1 : i + 2].any()]
    found = []
    for start in starts:
        end = start + 1
        while end % LENGTH and batch.position_T[end] == end - start:
            end += 1
        found.append((start, batch.ids_T[start:end].tolist(), batch.target_T[start:end].tolist()))
    return found


def hidden(model: HrmText, batch: PackedBatch) -> torch.Tensor:
    with torch.no_grad():
        slow_TD: torch.Tensor = model(batch.ids_T, batch.position_T, PackedAttention(batch.bias_BTT))
    return slow_TD


def test_every_pair_is_packed_exactly_once(pairs: EncodedPairs) -> None:
    order = np.random.default_rng(3).permutation(len(pairs))

    packed = [ids for batch in batches(pairs, order.tolist()) for _, ids, _ in pieces(batch)]

    assert sorted(packed) == sorted(pairs.pair(i).tolist() for i in range(len(pairs)))


def test_tokens_counts_those_of_pairs_and_not_padding(pairs: EncodedPairs) -> None:
    packed = batches(pairs)

    assert sum(batch.tokens for batch in packed) == len(pairs.ids)
    assert all(len(batch.ids_T) == ROWS * LENGTH >= batch.tokens for batch in packed)


def test_going_on_after_the_used_pairs_gives_the_same_batches(pairs: EncodedPairs) -> None:
    order = np.random.default_rng(4).permutation(len(pairs))
    whole = list(pack(pairs, order, ROWS, LENGTH))

    for number, (_, used) in enumerate(whole):
        rest = [batch for batch, _ in pack(pairs, order[used:], ROWS, LENGTH)]

        expected = [batch for batch, _ in whole[number + 1 :]]
        assert len(rest) == len(expected)
        assert all(torch.equal(a.ids_T, b.ids_T) for a, b in zip(rest, expected, strict=True))
    assert whole[-1][1] == len(order)


def of_lengths(lengths: NDArray[np.int64]) -> EncodedPairs:
    start = np.concatenate([[0], np.cumsum(lengths)])
    prefix = np.full(len(lengths), 10, dtype=np.int32)
    return EncodedPairs(np.ones(start[-1], dtype=np.int32), start, prefix, np.full(start[-1], UNTOLD, dtype=np.int8))


def test_rows_are_filled_to_nineteen_twentieths_by_pairs_of_all_lengths() -> None:
    chance = np.random.default_rng(5)
    uneven = of_lengths(chance.integers(40, 385, size=4000))
    order = chance.permutation(len(uneven))

    def share(chosen: NDArray[np.int64]) -> float:
        return float(np.mean([batch.tokens / (8 * 384) for batch, _ in pack(uneven, chosen, 8, 384)]))

    assert share(order) < 0.9, "as they come, a fifth of the rows is left empty"
    assert share(densely(uneven, order, 384)) > 0.95


def test_filling_rows_loses_no_pair_and_sorts_none_by_length() -> None:
    chance = np.random.default_rng(6)
    uneven = of_lengths(chance.integers(40, 385, size=5000))

    filled = densely(uneven, chance.permutation(len(uneven)), 384)

    assert sorted(filled) == list(range(len(uneven)))
    lengths = np.diff(uneven.start)[filled]
    means = [lengths[begin : begin + 64].mean() for begin in range(0, 4992, 64)]
    assert np.std(means) < 30, "the mean of 64 lengths of 40 to 384 strays by 12 from chance alone, by 100 when sorted"


def test_only_responses_and_their_closing_token_are_targets(pairs: EncodedPairs) -> None:
    prefixes = {tuple(pairs.pair(i).tolist()): int(pairs.prefix[i]) for i in range(len(pairs))}
    for batch in batches(pairs):
        learned = 0
        for _, ids, target in pieces(batch):
            prefix = prefixes[tuple(ids)]

            assert target == [IGNORED] * (prefix - 1) + ids[prefix:] + [IGNORED]
            learned += len(ids) - prefix
        assert int((batch.target_T != IGNORED).sum()) == learned, "padding is no target"


def test_a_prompt_reads_all_of_itself_and_an_answer_only_what_came_before() -> None:
    segment = torch.tensor([[0, 0, 0, 0, 1, 1, 1, -1]])
    in_prompt = torch.tensor([[1, 1, 0, 0, 1, 1, 0, 0]]).bool()

    readable = (attention_bias(segment, in_prompt)[0, 0] == 0).int().tolist()

    assert readable == [
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
    ]


def test_no_pair_reads_another(pairs: EncodedPairs, model: HrmText) -> None:
    batch = batches(pairs)[0]
    before = hidden(model, batch)
    for start, ids, _ in pieces(batch):
        changed = batch.ids_T.clone()
        changed[start : start + len(ids)] = (changed[start : start + len(ids)] + 1) % 300
        after = hidden(model, replace(batch, ids_T=changed))

        touched = (after != before).any(1).nonzero().squeeze(1).tolist()

        assert touched == list(range(start, start + len(ids)))


def test_a_later_answer_token_changes_nothing_before_it_and_a_later_prompt_token_does(
    pairs: EncodedPairs, model: HrmText
) -> None:
    batch = batches(pairs, [len(pairs) - 1])[0]
    length, prefix = pairs.length(len(pairs) - 1), int(pairs.prefix[-1])
    before = hidden(model, batch)

    def first_touched(at: int) -> int:
        changed = batch.ids_T.clone()
        changed[at] = (changed[at] + 1) % 300
        after = hidden(model, replace(batch, ids_T=changed))
        return int((after != before).any(1).nonzero()[0])

    assert [first_touched(at) for at in range(prefix, length)] == list(range(prefix, length))
    assert first_touched(prefix - 1) == 0


def test_the_packed_loss_is_the_mean_over_the_answer_tokens_of_each_pair_alone(
    pairs: EncodedPairs, model: HrmText
) -> None:
    with torch.no_grad():
        for batch in batches(pairs):
            alone = []
            for _, ids, target in pieces(batch):
                untold = np.full(len(ids), UNTOLD, dtype=np.int8)
                one = EncodedPairs(np.array(ids), np.array([0, len(ids)]), np.array([target.count(IGNORED)]), untold)
                (single, _), *_ = pack(one, np.arange(1), 1, len(ids))
                logits, wanted = answer_logits(model, single)
                alone.append(functional.cross_entropy(logits, wanted, reduction="none"))
            loss, _ = losses(model, batch, 8)

            assert sum(map(len, alone)) == int((batch.target_T != IGNORED).sum())
            torch.testing.assert_close(loss, torch.cat(alone).mean(), atol=1e-5, rtol=0)
