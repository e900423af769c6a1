"""tests.bench: the sides answer by their protocol, and what is made of their times is right."""

from pathlib import Path

import pytest

from tests.bench.decode import rate
from tests.bench.report import in_turn, ratios
from tests.bench.sides import Ask, Setting, started
from tests.bench.stall import longest_silence
from tests.engines import make_checkpoint


def test_the_native_side_says_when_each_token_was_there(tmp_path: Path) -> None:
    model = make_checkpoint(tmp_path / "model")

    with started(["native"], Setting(model, "float32", 64, 1)) as (side,):
        first, late = side.ask([Ask([9, 10, 11], 12), Ask([12, 13], 3, after=4, n=2)])
        in_turn([side], 1, lambda side, number: side.ask([Ask([9, 10 + number], 2)])[0][-1])

    assert first == sorted(first)
    assert len(first) == 12
    assert len(late) == 6
    assert late[0] > first[3]


def test_a_rate_counts_only_the_time_in_which_all_are_writing() -> None:
    assert rate([[1.0, 2.0, 3.0, 4.0], [2.0, 2.5, 3.0, 3.5, 9.0]]) == pytest.approx(5 / 2)


def test_the_longest_silence_is_between_two_tokens_of_one_stream() -> None:
    assert longest_silence([[0.0, 1.0, 1.5], [5.0, 5.25, 7.5]]) == 2.25


def test_a_ratio_above_one_means_that_ours_is_better() -> None:
    assert ratios({"native": 30.0, "vllm": 10.0}) == {"vllm": 3.0}
    assert ratios({"native": 2.0, "vllm": 10.0}, more_is_better=False) == {"vllm": 5.0}
    assert ratios({"native": 6.0, "int4": 9.0, "vllm": 3.0}) == {"vllm": 2.0, "vllm by int4": 3.0}
