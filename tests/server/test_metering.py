"""server.metering: what is counted of prompts before the engine has them."""

from pathlib import Path

import pytest

from hrm_model.types import Limits as EngineLimits
from hrm_model.types import Prompt, Question, Sampling, Spelled, Tokens
from server.identity import Limits
from server.limiter import Limiter, NeverWithin, Subject, Turn
from server.metering import Meter
from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import HANDBOOK, client_of, question, services, stocked

pytestmark = pytest.mark.anyio

ENGINE = ScriptedEngine(limits=EngineLimits(100, 65536, 8, 50))


class Watched:
    """Spells as the engine does, and keeps what it was asked to."""

    def __init__(self) -> None:
        self.asked: list[Prompt] = []

    def spelled(self, prompt: Prompt) -> Spelled:
        self.asked.append(prompt)
        return ENGINE.spelled(prompt)


def meter() -> Meter:
    return Meter(Turn(Limiter(), [Subject("user:ann", "this person", Limits(tokens_per_minute=10_000))]))


@pytest.mark.parametrize("prompt", [Question("7 " * 500_000), Tokens((7,) * 500_000, 500_000)], ids=["text", "ids"])
async def test_a_prompt_that_the_engine_refuses_for_its_length_alone_is_not_spelled(prompt: Prompt) -> None:
    speller, short = Watched(), Question("Why is it so?")

    samplings = await meter().allot([short, prompt], Sampling(), 1, ENGINE, speller)

    assert speller.asked == [short]
    assert [one.max_tokens for one in samplings] == [8, None], (
        "the engine's refusal must name no max_tokens that nobody sent"
    )


@pytest.mark.parametrize("tokens", [99, 100])
async def test_a_prompt_as_long_as_the_context_is_allotted_for_no_answer(tokens: int) -> None:
    turn = Turn(Limiter(), [Subject("user:ann", "this person", Limits(tokens_per_minute=98))])

    with pytest.raises(NeverWithin):
        await Meter(turn).allot([Tokens((7,) * tokens, 1)], Sampling(max_tokens=0), 1, ENGINE, ENGINE)


async def test_what_an_answer_begins_with_counts_for_each_of_n_as_the_engine_counts_it() -> None:
    asked: list[tuple[int, int, int]] = []

    class Asked(ScriptedEngine):
        def longest(self, prompt_tokens: int, n: int, *, given: int = 0) -> int:
            asked.append((prompt_tokens, n, given))
            return super().longest(prompt_tokens, n, given=given)

    turn = Turn(Limiter(), [Subject("user:ann", "this person", Limits(tokens_per_minute=100_000))])
    prompts = [Tokens((7,) * 9, 2), Tokens((7,) * 9, 0), Tokens((7,) * 9, 9)]

    await Meter(turn).allot(prompts, Sampling(), 3, Asked(), Asked())

    assert asked == [(2, 3, 7), (1, 3, 8), (9, 3, 0)]


async def test_blanks_around_a_prompt_do_not_count() -> None:
    speller, padded = Watched(), Question(" " * 500_000 + "why?")

    await meter().allot([padded], Sampling(), 1, ENGINE, speller)

    assert speller.asked == [padded]


async def test_answers_without_a_length_are_allotted_what_the_engine_would_give_them() -> None:
    engine = ScriptedEngine(
        limits=EngineLimits(context_tokens=400, kv_tokens=110, default_max_tokens=64, max_context_tokens=50)
    )
    prompt = Tokens((7,) * 50, 50)

    (one,) = await meter().allot([prompt], Sampling(), 1, engine, engine)
    (two,) = await meter().allot([prompt], Sampling(), 2, engine, engine)

    assert (one.max_tokens, two.max_tokens) == (60, 30)


async def test_nothing_is_looked_up_for_answers_that_are_too_much_by_themselves(tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    asked = question(model="hrm-text-mini@handbook", max_tokens=40)
    given = services(ScriptedEngine("a"), shelf, key_limits=Limits(tokens_per_minute=200))
    async with client_of(given) as client:
        answers = [await client.post("/v1/chat/completions", json={**asked, "n": n}) for n in (1, 4, 5)]

    assert [answer.status_code for answer in answers] == [200, 429, 400]
    assert len(shelf.queries) == 1
