"""The promise of a limit: no minute ever holds more, and who was told to wait is let in afterwards."""

from contextlib import suppress
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.identity import Limits
from server.limiter import Limiter, NeverWithin, OverLimit, Subject, Turn
from server.window import MINUTE_S


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self, now: float = 1000.25) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def subject(name: str = "key_1", **limits: int) -> Subject:
    return Subject(name, "this key", Limits(**limits))


def admitted(limiter: Limiter, *subjects: Subject) -> Turn:
    turn = Turn(limiter, subjects)
    turn.admit()
    return turn


# What happens one after the other: time passes (also by next to nothing), somebody asks, an answer ends.
PAUSES = st.one_of(st.floats(0, 90), st.sampled_from([0.0, 1e-9, 0.999999, 1.0, 59.0, 60.0, 61.0]))
ASKED = st.tuples(st.integers(0, 2), st.integers(1, 60), st.integers(0, 100))  # who, tokens, percent of them used
STEPS = st.lists(st.one_of(PAUSES, ASKED), max_size=80)


@given(steps=STEPS, start=st.floats(0, 1e7), requests=st.integers(1, 5), tokens=st.integers(1, 100))
@settings(deadline=None)
def test_no_minute_holds_more_than_a_limit(
    steps: list[float | tuple[int, int, int]], start: float, requests: int, tokens: int
) -> None:
    clock = Clock(start)
    limiter = Limiter(clock)
    everybody = [subject(f"key_{number}", requests_per_minute=requests, tokens_per_minute=tokens) for number in (0, 1)]
    everybody.append(subject("person", requests_per_minute=requests + 2))
    spent: list[tuple[float, int, int]] = []  # when, by whom, tokens

    for step in steps:
        if isinstance(step, float):
            clock.now += step
            continue
        who, asked, percent = step
        them = [everybody[who], everybody[2]] if who < 2 else [everybody[2]]
        turn = Turn(limiter, them)
        try:
            turn.admit()
            spent.append((clock.now, who, 0))
            turn.reserve(asked)
            turn.used_tokens = asked * percent // 100
            spent[-1] = (clock.now, who, turn.used_tokens)
        except (OverLimit, NeverWithin):
            pass
        finally:
            turn.end()

        for name, most in ((0, requests), (1, requests), (2, requests + 2)):
            recent = [by for when, by, _ in spent if clock.now - when <= MINUTE_S and name in (by, 2)]
            assert len(recent) <= most
        for name in (0, 1):
            assert sum(n for when, by, n in spent if clock.now - when <= MINUTE_S and by == name) <= tokens


@given(pauses=st.lists(PAUSES, min_size=1, max_size=40), start=st.floats(0, 1e7), limit=st.integers(1, 5))
@settings(deadline=None)
def test_who_waits_as_long_as_told_is_let_in(pauses: list[float], start: float, limit: int) -> None:
    clock = Clock(start)
    limiter, one = Limiter(clock), subject(requests_per_minute=limit)

    for pause in pauses:
        clock.now += pause
        try:
            admitted(limiter, one).end()
        except OverLimit as refusal:
            clock.now += min(refusal.retry_after_s, MINUTE_S + 1)
            admitted(limiter, one).end()


@given(tokens=st.lists(st.tuples(PAUSES, st.integers(1, 100)), min_size=1, max_size=40), start=st.floats(0, 1e7))
@settings(deadline=None)
def test_the_same_holds_for_tokens(tokens: list[tuple[float, int]], start: float) -> None:
    clock = Clock(start)
    limiter, one = Limiter(clock), subject(tokens_per_minute=100)

    for pause, asked in tokens:
        clock.now += pause
        try:
            limiter.reserve([one], asked)
        except OverLimit as refusal:
            clock.now += refusal.retry_after_s
            limiter.reserve([one], asked)


def test_the_wait_is_no_longer_than_it_must_be() -> None:
    clock = Clock(1000.25)
    limiter, one = Limiter(clock), subject(requests_per_minute=1)
    admitted(limiter, one).end()

    with pytest.raises(OverLimit) as refusal:
        admitted(limiter, one)

    assert refusal.value.retry_after_s == 61
    assert str(refusal.value) == "Rate limit reached: this key may have 1 requests a minute. Try again in 61 s."
    clock.now += 60.74
    with pytest.raises(OverLimit):
        admitted(limiter, one)
    clock.now = 1061
    admitted(limiter, one)


def test_a_refusal_charges_nobody() -> None:
    limiter, key, person = Limiter(Clock()), subject("key", requests_per_minute=5), subject("me", requests_per_minute=1)
    admitted(limiter, key, person)

    for _ in range(10):
        with pytest.raises(OverLimit):
            admitted(limiter, key, person)

    assert [standing.remaining for standing in limiter.standings([key])] == [4]


def test_two_keys_of_one_person_share_the_persons_limit_and_nothing_else() -> None:
    limiter, person = Limiter(Clock()), subject("me", requests_per_minute=3)
    one, other = subject("key_1", requests_per_minute=2), subject("key_2", requests_per_minute=2)
    admitted(limiter, one, person)
    admitted(limiter, one, person)

    with pytest.raises(OverLimit):
        admitted(limiter, one, person)
    admitted(limiter, other, person)
    with pytest.raises(OverLimit):
        admitted(limiter, other, person)
    admitted(limiter, other)


def test_what_was_reserved_and_not_used_is_given_back() -> None:
    limiter, one = Limiter(Clock()), subject(tokens_per_minute=100)
    turn = admitted(limiter, one)
    turn.reserve(90)
    with pytest.raises(OverLimit):
        admitted(limiter, one).reserve(20)

    turn.used_tokens = 30
    turn.end()
    turn.end()

    assert [standing.remaining for standing in limiter.standings([one])] == [70]


def test_what_is_given_back_after_its_minute_adds_nothing() -> None:
    clock = Clock()
    limiter, one = Limiter(clock), subject(tokens_per_minute=100)
    turn = admitted(limiter, one)
    turn.reserve(90)
    clock.now += 70
    limiter.reserve([one], 100)

    turn.end()

    assert [standing.remaining for standing in limiter.standings([one])] == [0]


def test_what_can_never_fit_is_no_matter_of_waiting() -> None:
    limiter, one = Limiter(Clock()), subject(tokens_per_minute=100)

    with pytest.raises(NeverWithin, match="may take 101 tokens, prompt and answer together, and this key may have 100"):
        limiter.reserve([one], 101)


def test_what_can_never_fit_is_so_however_much_of_it_anybody_has_left() -> None:
    limiter, key, person = Limiter(Clock()), subject(tokens_per_minute=100), subject("me", tokens_per_minute=50)
    limiter.reserve([key], 80)

    with pytest.raises(NeverWithin, match=r"60 tokens.* may have 50"):
        limiter.check_tokens([key, person], 60)


def test_requests_at_the_same_time_are_limited_until_they_end() -> None:
    limiter, one = Limiter(Clock()), subject(concurrent_requests=2)
    first, _ = admitted(limiter, one), admitted(limiter, one)

    with pytest.raises(OverLimit, match="this key may have 2 requests at the same time"):
        admitted(limiter, one)
    first.end()
    first.end()

    admitted(limiter, one)
    with pytest.raises(OverLimit):
        admitted(limiter, one)


def test_the_least_that_is_left_of_anybody_is_told() -> None:
    limiter = Limiter(Clock(1000.25))
    key, person = subject("key", requests_per_minute=10), subject("me", requests_per_minute=4, tokens_per_minute=50)
    turn = admitted(limiter, key, person)
    turn.reserve(20)

    told = {standing.resource: standing for standing in turn.standings()}

    assert (told["requests"].limit, told["requests"].remaining, told["requests"].reset_s) == (4, 3, 60.75)
    assert (told["tokens"].limit, told["tokens"].remaining) == (50, 30)


def test_subjects_that_are_idle_are_forgotten() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    lasting = admitted(limiter, subject("lasting"))
    for number in range(5000):
        clock.now += 0.01
        admitted(limiter, subject(f"key_{number}")).end()

    clock.now += 61
    for number in range(3000):
        admitted(limiter, subject(f"key_{number % 2}")).end()

    assert len(limiter) == 3
    lasting.end()


def test_subjects_that_were_only_ever_refused_are_forgotten_too() -> None:
    clock = Clock()
    limiter, key = Limiter(clock), subject("key_1", requests_per_minute=1)
    admitted(limiter, key).end()

    for number in range(5000):
        clock.now += 0.1
        with suppress(OverLimit):
            admitted(limiter, key, subject(f"person {number}")).end()

    assert len(limiter) <= 612, "as many as came in a minute, and the key"


def test_many_threads_get_no_more_than_the_limit() -> None:
    limiter, one = Limiter(Clock()), subject(requests_per_minute=500, concurrent_requests=10_000)
    let_in: list[int] = []

    def ask() -> None:
        for _ in range(200):
            try:
                admitted(limiter, one)
            except OverLimit:
                continue
            let_in.append(1)

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(let_in) == 500


def test_an_unlimited_subject_is_never_refused_and_told_nothing() -> None:
    limiter = Limiter(Clock())

    for _ in range(1000):
        turn = admitted(limiter, subject())
        turn.reserve(10**9)

    assert turn.standings() == []


def test_what_people_share_lets_them_in_while_anything_is_left_and_counts_what_they_used() -> None:
    limiter, key = Limiter(Clock()), Subject("key", "this key", Limits(tokens_per_minute=100), is_shared=True)
    person = subject("me", tokens_per_minute=90)
    first = admitted(limiter, key, person)
    first.reserve(80, certain=30)
    second = admitted(limiter, key)
    second.reserve(100, certain=69)  # 99 that are used for certain

    admitted(limiter, key).check_tokens(100)
    with pytest.raises(OverLimit):
        admitted(limiter, person).check_tokens(11)
    first.used_tokens = 31
    first.end()
    with pytest.raises(OverLimit):
        admitted(limiter, key).check_tokens(1)
    second.end()

    limiter.reserve([key], 69, 69)
    with pytest.raises(OverLimit):
        admitted(limiter, key).check_tokens(1)
    with pytest.raises(NeverWithin):
        admitted(limiter, key).check_tokens(101)
