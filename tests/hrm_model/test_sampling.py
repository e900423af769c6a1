"""hrm_model.sampling: logits to ids, held against the distribution as numpy computes it."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from hrm_model.endings import Allowed
from hrm_model.sampling import Draw, Drawn, NotFinite, draw, uniforms
from hrm_model.types import Sampling

LOGITS = torch.tensor([2.0, -1.0, 0.5, 1.9, -3.0, 1.0, 0.4, 1.2])
DRAWS = 1500
# 4.5 standard deviations of a frequency over DRAWS independent draws, at its widest.
SLACK = 4.5 * 0.5 / math.sqrt(DRAWS)


def drawn(
    logits_V: Tensor,
    sampling: Sampling,
    *,
    seed: int = 0,
    choice: int = 0,
    position: int = 0,
    prompt: Sequence[int] = (),
    answer: Sequence[int] = (),
) -> Drawn:
    (result,) = draw(logits_V[None], [Draw(sampling, seed, choice, position or len(answer), prompt, answer)])
    assert isinstance(result, Drawn)
    return result


def frequencies(sampling: Sampling) -> NDArray[np.float64]:
    results = draw(LOGITS.expand(DRAWS, -1), [Draw(sampling, 7, 0, position) for position in range(DRAWS)])
    counts = Counter(result.token for result in results if isinstance(result, Drawn))
    return np.array([counts[token] for token in range(len(LOGITS))]) / DRAWS


def distribution(sampling: Sampling) -> NDArray[np.float64]:
    """Temperature, min_p, then the k likeliest, then the fewest of those whose mass reaches top_p."""
    logits = LOGITS.double().numpy() / sampling.temperature
    order = np.argsort(-logits, kind="stable")
    order = order[np.exp(logits[order] - logits.max()) >= sampling.min_p]
    if sampling.top_k:
        order = order[: sampling.top_k]
    mass = np.exp(logits[order]) / np.exp(logits[order]).sum()
    kept = next(
        count for count in range(1, len(mass) + 1) if count == len(mass) or mass[:count].sum() >= sampling.top_p
    )
    result = np.zeros(len(LOGITS))
    result[order[:kept]] = mass[:kept] / mass[:kept].sum()
    return result


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.0),
        Sampling(temperature=0.3),
        Sampling(temperature=1.8),
        Sampling(temperature=1.0, top_k=1),
        Sampling(temperature=1.0, top_k=3),
        Sampling(temperature=1.0, top_k=100),
        Sampling(temperature=1.0, top_p=0.6),
        Sampling(temperature=1.0, top_p=0.0),
        Sampling(temperature=0.7, top_k=5, top_p=0.8),
        Sampling(temperature=1.0, min_p=0.3),
        Sampling(temperature=2.0, min_p=0.3),
        Sampling(temperature=1.0, min_p=1.0),
        Sampling(temperature=1.0, min_p=0.2, top_p=0.7),
    ],
    ids=str,
)
def test_draws_follow_the_distribution_that_was_asked_for(sampling: Sampling) -> None:
    expected = distribution(sampling)

    got = frequencies(sampling)

    assert np.abs(got - expected).max() < SLACK
    assert not got[expected == 0].any(), "a token that the filters took out was drawn"


@pytest.mark.parametrize("way", [{}, {"top_k": 200}, {"top_p": 0.9}, {"min_p": 0.5}, {"top_k": 300, "top_p": 0.99}])
def test_what_another_order_of_summation_changes_changes_next_to_no_draw(way: dict[str, float]) -> None:
    """As a batch or a draft does: so little that tokens of nearly the same likelihood change places."""
    chance = torch.Generator().manual_seed(3)
    logits_V = torch.randint(200, (5000,), generator=chance) / 100 + 1e-6 * torch.randn(5000, generator=chance)
    nudged_V = logits_V + 1e-6 * torch.randn(5000, generator=chance)
    draws = [Draw(Sampling(temperature=1.0, **way), 7, 0, position) for position in range(1000)]  # type: ignore[arg-type]  # by name

    before, after = (draw(row_V.expand(1000, -1), draws) for row_V in (logits_V, nudged_V))

    differ = sum(one != other for one, other in zip(before, after, strict=True))
    assert not torch.equal(logits_V.argsort(), nudged_V.argsort())
    # At a cut there may be others, and one of hundreds may be what was drawn.
    assert differ <= (8 if way else 1)


def test_temperature_0_takes_the_likeliest_whatever_the_seed() -> None:
    for seed in range(20):
        assert drawn(LOGITS, Sampling(), seed=seed).token == 0


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-308, 5e-324])
def test_a_temperature_next_to_0_takes_the_likeliest_too(temperature: float) -> None:
    logits = torch.tensor([1.0, 5.0, 2.0])

    for seed in range(5):
        assert drawn(logits, Sampling(temperature=temperature), seed=seed).token == 1


def test_large_logits_do_not_overflow() -> None:
    assert drawn(LOGITS * 1e30, Sampling(temperature=1.0)).token == 0


@settings(max_examples=40, deadline=None)
@given(
    own=st.tuples(st.integers(-(2**63), 2**64 - 1), st.integers(0, 127), st.integers(0, 4096)),
    others=st.lists(st.integers(0, 2**63), max_size=5),
    at=st.integers(0, 5),
)
def test_a_draw_depends_on_seed_choice_and_position_alone(
    own: tuple[int, int, int], others: list[int], at: int
) -> None:
    sampling = Sampling(temperature=1.5)
    mine = Draw(sampling, *own)
    neighbours = [Draw(Sampling(temperature=0.5, top_k=2), seed, 0, seed % 100) for seed in others]
    batch = [*neighbours[:at], mine, *neighbours[at:]]
    row = min(at, len(neighbours))
    logits_BV = torch.stack([LOGITS if index == row else LOGITS.flip(0) for index in range(len(batch))])

    together = draw(logits_BV, batch)[row]

    assert together == drawn(LOGITS, sampling, seed=own[0], choice=own[1], position=own[2])


@pytest.mark.parametrize("seeds", [range(500), range(-500, 0), range(2**63, 2**63 + 500), range(2**64 - 500, 2**64)])
def test_every_seed_choice_and_position_draws_its_own_numbers(seeds: range) -> None:
    places = [(seed, choice, position) for seed in seeds for choice in (0, 1) for position in (0, 1)]
    numbers = {number for place in places for number in uniforms(*place, 9)}

    assert len(numbers) == 9 * 4 * len(seeds)
    assert all(0 <= number < 1 for number in numbers)
    assert abs(float(np.mean(list(numbers))) - 0.5) < 4.5 / math.sqrt(12 * len(numbers))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_that_is_not_finite_is_told_apart_and_harms_no_other(bad: float, temperature: float) -> None:
    sampling = Sampling(temperature=temperature, logprobs=2)
    broken = LOGITS.clone()
    broken[3] = bad

    first, second, third = draw(torch.stack([LOGITS, broken, LOGITS]), [Draw(sampling, 3, 0, 0)] * 3)

    assert isinstance(second, NotFinite)
    assert first == third == drawn(LOGITS, sampling, seed=3)


def test_logprobs_are_those_of_the_whole_vocabulary_before_temperature_and_filters() -> None:
    expected = (LOGITS.double() - LOGITS.double().exp().sum().log()).tolist()

    result = drawn(LOGITS, Sampling(temperature=1.7, top_k=4, logprobs=3), seed=11)

    assert result.logprob == pytest.approx(expected[result.token], abs=1e-6)
    assert [token for token, _ in result.top] == [0, 3, 7]
    assert [value for _, value in result.top] == pytest.approx([expected[token] for token in (0, 3, 7)], abs=1e-6)


def test_logprobs_come_only_where_asked_for() -> None:
    assert drawn(LOGITS, Sampling()) == Drawn(0)
    alone = drawn(LOGITS, Sampling(logprobs=0))
    assert alone.logprob is not None
    assert alone.top == ()
    assert len(drawn(LOGITS, Sampling(logprobs=20)).top) == len(LOGITS)


def test_bf16_logits_are_drawn_from_in_fp32() -> None:
    logits = LOGITS.bfloat16()

    assert drawn(logits, Sampling(logprobs=1)) == drawn(logits.float(), Sampling(logprobs=1))


def wished(logits: NDArray[np.float64], one: Draw) -> NDArray[np.float64]:
    """What bias, penalties and bans make of a row, token by token."""
    sampling, result = one.sampling, logits.copy()
    for token in range(len(result)):
        result[token] += sum(bias for named, bias in sampling.logit_bias if named == token)
        if token in one.prompt or token in one.answer:
            factor = sampling.repetition_penalty
            result[token] = result[token] / factor if result[token] > 0 else result[token] * factor
        count = list(one.answer).count(token)
        result[token] -= sampling.frequency_penalty * count + sampling.presence_penalty * (count > 0)
        if one.position < sampling.min_tokens and token in sampling.stop_token_ids:
            result[token] = -np.inf
    return result


TOKEN = st.integers(0, len(LOGITS) - 1)
IDS = st.lists(TOKEN, max_size=12)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.4, 1.0, 3.0]),
    top_p=st.sampled_from([0.3, 0.9, 1.0]),
    top_k=st.sampled_from([0, 1, 4]),
    min_p=st.sampled_from([0.0, 0.1, 1.0]),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    repetition_penalty=st.floats(0.5, 2),
    logit_bias=st.lists(st.tuples(TOKEN, st.floats(-100, 100)), max_size=4).map(tuple),
    stop_token_ids=st.lists(TOKEN, max_size=3).map(tuple),
    min_tokens=st.integers(0, 15),
)


@settings(max_examples=150, deadline=None)
@given(sampling=SAMPLINGS, prompt=IDS, answer=IDS, seed=st.integers(0, 2**63))
def test_greedy_takes_the_likeliest_after_bias_penalties_and_bans(
    sampling: Sampling, prompt: list[int], answer: list[int], seed: int
) -> None:
    one = Draw(replace(sampling, temperature=0.0), seed, 0, len(answer), prompt, answer)
    expected = wished(LOGITS.double().numpy(), one)

    (result,) = draw(LOGITS[None], [one])

    assert isinstance(result, Drawn)
    assert expected[result.token] == pytest.approx(expected.max(), abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(sampling=SAMPLINGS, prompt=IDS, answer=IDS, seed=st.integers(0, 2**63))
def test_a_draw_never_returns_what_is_forbidden(
    sampling: Sampling, prompt: list[int], answer: list[int], seed: int
) -> None:
    banned = replace(sampling, logit_bias=(*sampling.logit_bias, (3, -math.inf)))

    result = drawn(LOGITS, banned, seed=seed, prompt=prompt, answer=answer)

    assert result.token != 3
    assert len(answer) >= sampling.min_tokens or result.token not in sampling.stop_token_ids


@settings(max_examples=80, deadline=None)
@given(sampling=SAMPLINGS, others=st.lists(SAMPLINGS, max_size=4), prompt=IDS, answer=IDS, seed=st.integers(0, 2**63))
def test_a_draw_is_the_same_whatever_the_other_rows_ask_for(
    sampling: Sampling, others: list[Sampling], prompt: list[int], answer: list[int], seed: int
) -> None:
    batch = [Draw(other, seed, 0, len(prompt), answer, prompt) for other in others]
    batch.insert(len(others) // 2, Draw(replace(sampling, logprobs=3), seed, 1, len(answer), prompt, answer))
    logits_BV = LOGITS.expand(len(batch), -1).clone()

    together = draw(logits_BV, batch)[len(others) // 2]

    assert together == draw(LOGITS[None], [batch[len(others) // 2]])[0]
    assert torch.equal(logits_BV, LOGITS.expand(len(batch), -1)), "the rows are the caller's"


@settings(max_examples=80, deadline=None)
@given(prompt=IDS, answer=IDS, seed=st.integers(0, 2**63), temperature=st.sampled_from([0.0, 1.0]))
def test_parts_that_are_off_change_nothing(prompt: list[int], answer: list[int], seed: int, temperature: float) -> None:
    plain = Sampling(temperature=temperature, logprobs=2)
    # Something in it is on, so that the long way is taken, and yet it adds nothing.
    idle = replace(plain, logit_bias=((1, 0.0),), min_tokens=len(answer), stop_token_ids=(0,))

    results = [drawn(LOGITS, sampling, seed=seed, prompt=prompt, answer=answer) for sampling in (plain, idle)]

    assert results[0] == results[1] == drawn(LOGITS, plain, seed=seed, position=len(answer))


def test_repetition_looks_at_the_prompt_and_the_others_at_the_answer_alone() -> None:
    for sampling in (Sampling(presence_penalty=2), Sampling(frequency_penalty=2)):
        assert drawn(LOGITS, sampling, prompt=[0]).token == 0
        assert drawn(LOGITS, sampling, answer=[0]).token == 3
    for prompt, answer in (([0], []), ([], [0])):
        assert drawn(LOGITS, Sampling(repetition_penalty=1.5), prompt=prompt, answer=answer).token == 3


def test_frequency_grows_with_every_time_and_presence_does_not() -> None:
    assert drawn(LOGITS, Sampling(frequency_penalty=0.04), answer=[0] * 2).token == 0
    assert drawn(LOGITS, Sampling(frequency_penalty=0.04), answer=[0] * 3).token == 3
    assert drawn(LOGITS, Sampling(presence_penalty=0.04), answer=[0] * 30).token == 0


def test_logprobs_stay_those_of_the_model() -> None:
    plain = drawn(LOGITS, Sampling(logprobs=3))

    bent = drawn(LOGITS, Sampling(logprobs=3, logit_bias=((4, 100.0),), presence_penalty=2), answer=[0])

    assert bent.token == 4
    assert bent.top == plain.top
    assert bent.logprob == pytest.approx(float(torch.log_softmax(LOGITS, -1)[4]))


def test_a_row_in_which_everything_is_forbidden_has_no_draw() -> None:
    nothing = Sampling(stop_token_ids=tuple(range(len(LOGITS))), min_tokens=1)

    first, second = draw(LOGITS.expand(2, -1), [Draw(nothing, 0, 0, 0), Draw(nothing, 0, 0, 1, (), (1,))])

    assert isinstance(first, NotFinite)
    assert second == Drawn(0)


def test_no_ban_holds_up_an_answer_that_its_grammar_lets_only_end() -> None:
    sampling = Sampling(temperature=0, stop_token_ids=(2, 3), min_tokens=9)
    ended, open_ = np.zeros(len(LOGITS), dtype=np.bool_), np.zeros(len(LOGITS), dtype=np.bool_)
    ended[3] = open_[[3, 4]] = True

    last = draw(LOGITS[None], [Draw(sampling, 0, 0, 1, (), (1,), Allowed(ended, 3))])
    between = draw(LOGITS[None], [Draw(sampling, 0, 0, 1, (), (1,), Allowed(open_, 3))])

    assert (last, between) == ([Drawn(3)], [Drawn(4)])


def test_penalties_without_the_answer_are_a_mistake_and_not_a_plain_draw() -> None:
    with pytest.raises(AssertionError, match="the answer so far"):
        draw(LOGITS[None], [Draw(Sampling(presence_penalty=1), 0, 0, 2)])


@given(
    logits=st.lists(st.integers(-3, 3), min_size=6, max_size=6),
    bias=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([-math.inf, -2.0, -0.5, 0.0, 1.5])), max_size=4),
    stops=st.sets(st.integers(0, 5), max_size=3),
    position=st.integers(0, 2),
)
def test_greedy_takes_the_first_of_the_likeliest_whatever_is_lowered(
    logits: list[int], bias: list[tuple[int, float]], stops: set[int], position: int
) -> None:
    expected = np.array(logits, dtype=np.float64)
    for token, value in bias:
        expected[token] += value
    if position < 2:
        expected[list(stops)] = -np.inf
    sampling = Sampling(temperature=0, logit_bias=tuple(bias), stop_token_ids=tuple(stops), min_tokens=2)

    (result,) = draw(torch.tensor([logits]).float(), [Draw(sampling, 0, 0, position)])

    if expected.max() == -np.inf:
        assert isinstance(result, NotFinite)
    else:
        assert isinstance(result, Drawn)
        assert result.token == int(expected.argmax())


def test_a_row_whose_sum_overflows_is_finite_all_the_same() -> None:
    (result,) = draw(torch.tensor([[3e38, 3.1e38, 0.0]]), [Draw(Sampling(temperature=0), 0, 0, 0)])

    assert result == Drawn(1)
