"""Stages: their order, their mixture, when the next one opens, and going on at the same pair."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from hrm_model.tokenizer import Tokenizer
from hrm_model.training.curriculum import Curriculum
from hrm_model.training.packing import PackedBatch
from hrm_model.training.recipe import Recipe
from hrm_model.training.trainer import Trainer
from tests.hrm_model.training.copying import config, recipe, tasks, tokenizer, write

EASY, HARD = "easy.jsonl", "hard.jsonl"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return tokenizer(tmp_path_factory.mktemp("tokenizer"))


def curriculum(folder: Path, words: Tokenizer, chosen: Recipe, *, easy: int = 1, hard: int = 3) -> Curriculum:
    files = [
        write(folder / EASY, ({**task, "instruction": f"E{task['instruction']}"} for task in tasks(60, 1, easy))),
        write(folder / HARD, ({**task, "instruction": f"H{task['instruction']}"} for task in tasks(80, 2, hard))),
    ]
    return Curriculum(files, words, chosen)


def instructions(batches: list[PackedBatch], words: Tokenizer) -> list[str]:
    """The instruction of every pair, begin and condition being ids 1 and 3, its closing token 2."""
    found: list[str] = []
    for batch in batches:
        ids = batch.ids_T.tolist()
        for start in (i for i, index in enumerate(ids) if index == 1):
            found.append(words.decode(ids[start + 2 : ids.index(2, start)]))
    return found


def epoch(stages: Curriculum) -> list[PackedBatch]:
    """Batches up to the end of the epoch."""
    started, found = stages.epoch, []
    for batch in stages.batches():
        if stages.epoch != started:
            break
        found.append(batch)
    return found


def test_an_epoch_trains_every_pair_but_the_held_out_ones_once(tmp_path: Path, words: Tokenizer) -> None:
    stages = curriculum(tmp_path, words, recipe(held_out=8))

    seen = instructions(epoch(stages), words)

    assert len(seen) == 52
    every = [f"ESay {task['response']}" for task in tasks(60, 1, 1)]
    assert sorted(seen) == sorted(every[8:])
    assert sorted(instructions(stages.load(0).held_out, words)) == sorted(every[:8])


def test_each_epoch_has_its_own_order_and_the_seed_decides_it(tmp_path: Path, words: Tokenizer) -> None:
    stage = curriculum(tmp_path, words, recipe()).load(0)
    first, second, other = stage.order(recipe(), 0), stage.order(recipe(), 1), stage.order(recipe(seed=1), 0)

    assert sorted(first) == sorted(second) == sorted(other)
    assert np.array_equal(first, stage.order(recipe(), 0))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_later_stage_is_mixed_with_its_share_of_the_earlier_ones(tmp_path: Path, words: Tokenizer) -> None:
    stages = curriculum(tmp_path, words, recipe(replay=0.25))
    assert stages.advance()

    seen = instructions(epoch(stages), words)

    hard, easy = (sum(text.startswith(kind) for text in seen) for kind in "HE")
    assert (hard, easy) == (72, 24)
    mixed = [text[0] for text in seen]
    assert "E" in mixed[:24], "earlier pairs are not left for the end"
    assert mixed != sorted(mixed)


def test_an_earlier_stage_may_have_the_longer_pairs(tmp_path: Path, words: Tokenizer) -> None:
    stages = curriculum(tmp_path, words, recipe(longest_pair=400), easy=24, hard=1)
    stages.advance()

    seen = instructions(epoch(stages), words)

    assert {text[0] for text in seen} == {"E", "H"}


def test_no_replay_means_the_stage_alone(tmp_path: Path, words: Tokenizer) -> None:
    stages = curriculum(tmp_path, words, recipe(replay=0))
    stages.advance()

    assert all(text.startswith("H") for text in instructions(epoch(stages), words))


@pytest.mark.parametrize("stage", [0, 1])
def test_a_resumed_run_goes_on_at_the_same_pair(tmp_path: Path, words: Tokenizer, stage: int) -> None:
    chosen = recipe(batch_tokens=256)
    whole = curriculum(tmp_path, words, chosen)
    whole.stage = stage
    expected = [(batch.ids_T, whole.epoch, whole.used) for batch in islice(whole.batches(), 40)]
    assert {at for _, at, _ in expected} >= {0, 1}, "the end of an epoch is among them"

    for number in range(0, 39, 3):
        resumed = Curriculum([tmp_path / EASY, tmp_path / HARD], words, chosen)
        _, resumed.epoch, resumed.used = expected[number]
        resumed.stage = stage
        following = next(resumed.batches())

        assert torch.equal(following.ids_T, expected[number + 1][0])
        assert (resumed.epoch, resumed.used) == expected[number + 1][1:]


def test_the_last_stage_has_no_next_one(tmp_path: Path, words: Tokenizer) -> None:
    stages = curriculum(tmp_path, words, recipe())

    assert [stages.advance(), stages.advance()] == [True, False]
    assert stages.stage == 1


def test_a_file_with_no_more_than_the_held_out_pairs_is_refused(tmp_path: Path, words: Tokenizer) -> None:
    stages = curriculum(tmp_path, words, recipe(held_out=60))

    with pytest.raises(ValueError, match=r"easy\.jsonl: 60 usable pairs; the first 60 are held out"):
        stages.load(0)


def test_pairs_that_are_too_long_are_told_of(
    tmp_path: Path, words: Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    stages = curriculum(tmp_path, words, recipe(longest_pair=20, held_out=1))

    kept = len(stages.load(1).pairs)

    assert 1 < kept < 80
    assert f"{80 - kept} of 80 pairs have more than 20 tokens" in caplog.text


def test_evidence_cannot_be_learned_where_none_is_told(tmp_path: Path, words: Tokenizer) -> None:
    stages = curriculum(tmp_path, words, recipe(evidence=1.0))

    with pytest.raises(ValueError, match=r"easy\.jsonl: evidence is to be learned, and no usable pair tells its own"):
        stages.load(0)


def stages_by_step(folder: Path, words: Tokenizer, chosen: Recipe) -> list[int]:
    """The open stage after each step of a run."""
    seen: list[int] = []
    trainer = Trainer(config(), curriculum(folder, words, chosen), chosen, folder / "run", device="cpu", compile=False)
    trainer.run(lambda _, stage: seen.append(stage))
    return seen


def test_the_next_stage_opens_when_the_held_out_pairs_are_known(tmp_path: Path, words: Tokenizer) -> None:
    # An accuracy of 0 is reached at the first scoring, after step 5.
    seen = stages_by_step(tmp_path, words, recipe(advance_at=0.0, stage_share=1.0, tokens=8 * 512))

    assert seen[:8] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_the_next_stage_opens_all_the_same_when_the_share_is_spent(tmp_path: Path, words: Tokenizer) -> None:
    # Steps are of at most 512 tokens, so a quarter of the budget lasts for 5 of them and not for 10 of about 480.
    seen = stages_by_step(tmp_path, words, recipe(advance_at=1.0, stage_share=0.25, tokens=16 * 512))

    assert seen[:5] == [0] * 5
    assert 1 in seen
    assert seen == sorted(seen)
