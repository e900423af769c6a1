"""hrm_model.engine: what batching, faults, cancellation and shutdown must not do to an answer, in fp32 on the CPU.

The contract that it shares with other engines is in tests/contract/test_engine.py.
"""

import asyncio
import random
import threading
from collections.abc import Sequence as Items
from dataclasses import replace

import pytest

from hrm_model.cache import KvCache, PagedCache
from hrm_model.errors import EngineClosed, EngineError, EngineOverloaded, InvalidPrompt
from hrm_model.loading import load_engine
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS
from hrm_model.runner import Runner
from hrm_model.sampling import Drawn, NotFinite
from hrm_model.sequence import Reading, Sequence
from hrm_model.template import CONDITION_TOKENS, END_ANSWER, spell
from hrm_model.types import Event, Failed, Finished, Limits, Load, OneOf, Question, Sampling, Started, Text, Tokens
from tests.engines import LIMITS, Reply, Tiny, make_checkpoint, reply_of, running
from tests.waiting import until

pytestmark = pytest.mark.anyio

ASK = Question("Who approves a refund?")
IDLE = Load(kv_tokens=LIMITS.kv_tokens)
# Its condition token is the one that the faulty networks below stumble over.
POISON = Question("Who approves a refund?", condition=("synth",))

QUESTIONS: tuple[tuple[Question, Sampling], ...] = (
    (ASK, Sampling(max_tokens=60)),
    (Question("When does the desk answer? " * 8), Sampling(max_tokens=50)),
    (Question("Who leads the branch?", condition=("synth", "cot")), Sampling(max_tokens=40)),
    (ASK, Sampling(max_tokens=60, temperature=1.0, seed=11)),
    (ASK, Sampling(max_tokens=60, temperature=0.8, seed=12, top_k=20)),
    (Question("a"), Sampling(max_tokens=50, temperature=1.3, seed=-1, top_p=0.9)),
)
LOGPROBS = [(question, replace(sampling, logprobs=2)) for question, sampling in QUESTIONS]


def assert_same(got: Reply, expected: Reply) -> None:
    """The same tokens; the log-probabilities may differ by the order in which fp32 was summed."""
    assert got.texts == expected.texts
    assert got.tokens == expected.tokens
    for choice, logprobs in expected.logprobs.items():
        mine = got.logprobs[choice]
        assert [one.token for one in mine] == [one.token for one in logprobs]
        assert [one.logprob for one in mine] == pytest.approx([one.logprob for one in logprobs], abs=1e-4)


class HeldRunner(Runner):
    """Makes no step before the test allows it."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # passed on as they came
        self.is_in_step = threading.Event()
        self.may_step = threading.Event()
        self.steps = 0

    def step(self, sequences: Items[Sequence]) -> list[list[Drawn | NotFinite]]:
        self.steps += 1
        self.is_in_step.set()
        assert self.may_step.wait(60)
        return super().step(sequences)


class Held:
    """Builds a HeldRunner and keeps it at hand."""

    runner: HeldRunner

    def __call__(self, *args: object) -> Runner:
        self.runner = HeldRunner(*args)
        return self.runner


# Batches


async def test_answers_vary_and_are_what_the_network_says(tiny: Tiny) -> None:
    prompt = spell(ASK, tiny.tokenizer)
    expected = tiny.greedy_ids(prompt, 64)
    assert len(set(expected)) >= 30, "a network that repeats itself cannot show a fault"

    async with running(tiny.engine()) as engine:
        asked = await reply_of(engine.generate(ASK, Sampling(max_tokens=64)))
        spelled = await reply_of(engine.generate(Tokens(tuple(prompt), len(prompt)), Sampling(max_tokens=64)))

    assert asked.texts[0] == spelled.texts[0] == tiny.tokenizer.decode(expected)


async def test_an_answer_is_the_same_alone_and_in_a_busy_batch(tiny: Tiny) -> None:
    async with running(tiny.engine(max_running=12, max_waiting=100, prefill_tokens=64)) as engine:
        alone = [await reply_of(engine.generate(*ask)) for ask in LOGPROBS]
        # Where two tokens are this close, another order of summation may choose the other one.
        greedy = [one.top for reply in alone[:3] for one in reply.logprobs[0]]
        assert min(first - second for (_, first), (_, second) in greedy) > 1e-4
        chance = random.Random(5)

        async def visit() -> None:
            """Join at some point, stay for a while, and leave at the end or in the middle."""
            await asyncio.sleep(chance.random() * 0.2)
            question = Question(" ".join(chance.choices(["refund", "desk", "who", "claim"], k=chance.randint(1, 60))))
            sampling = Sampling(max_tokens=chance.randint(1, 25), temperature=chance.choice([0.0, 1.0]))
            events = engine.generate(question, sampling, n=chance.randint(1, 3))
            stays = chance.choice([0, 1, 3, 10**6])
            async for _ in events:
                if (stays := stays - 1) < 0:
                    break
            await events.aclose()

        async with asyncio.TaskGroup() as group:
            visitors = [group.create_task(visit()) for _ in range(30)]
            together = [group.create_task(reply_of(engine.generate(*ask))) for ask in LOGPROBS]

        assert len(visitors) == 30
        for reply, expected in zip(together, alone, strict=True):
            assert_same(reply.result(), expected)
        await until(lambda: engine.load() == IDLE)


async def test_seeded_choices_differ_and_come_again(tiny: Tiny) -> None:
    sampling = Sampling(temperature=1.0, seed=3, max_tokens=20)
    async with running(tiny.engine()) as engine:
        first = await reply_of(engine.generate(ASK, sampling, n=3))
        again = await reply_of(engine.generate(ASK, sampling, n=3))
        single = await reply_of(engine.generate(ASK, sampling))
        other = await reply_of(engine.generate(ASK, replace(sampling, seed=4)))

    assert len(set(first.texts.values())) == 3
    assert again.texts == first.texts
    assert single.texts[0] == first.texts[0]
    assert other.texts[0] != first.texts[0]


async def test_without_a_seed_answers_differ(tiny: Tiny) -> None:
    async with running(tiny.engine()) as engine:
        replies = [await reply_of(engine.generate(ASK, Sampling(temperature=1.0, max_tokens=20))) for _ in range(3)]

    assert len({reply.texts[0] for reply in replies}) == 3


async def test_given_answer_tokens_are_continued(tiny: Tiny) -> None:
    prompt = spell(ASK, tiny.tokenizer)
    answer = tiny.greedy_ids(prompt, 30)

    async with running(tiny.engine()) as engine:
        given = Tokens((*prompt, *answer[:12]), len(prompt))
        reply = await reply_of(engine.generate(given, Sampling(max_tokens=18)))

    assert reply.texts[0] == tiny.tokenizer.decode(answer[12:])
    assert reply.finished[0].counts.prompt_tokens == len(prompt) + 12


async def test_the_closing_token_ends_an_answer_and_is_counted(tiny: Tiny) -> None:
    prompt = spell(ASK, tiny.tokenizer)
    usual = tiny.greedy_ids(prompt, 40)
    last = next(token for token in usual[10:] if usual.index(token) >= 10)
    end = tiny.tokenizer.control(END_ANSWER)

    def close_in_its_place(model: HrmText) -> None:
        """Wherever `last` would have come, the closing token is a shade likelier."""
        model.lm_head.weight[end] = model.lm_head.weight[last] * 1.0001

    async with running(tiny.changed(close_in_its_place).engine()) as engine:
        reply = await reply_of(engine.generate(ASK, Sampling(max_tokens=40)))

    said = usual[: usual.index(last)]
    assert reply.texts[0] == tiny.tokenizer.decode(said)
    assert reply.finished[0].reason == "stop"
    assert reply.finished[0].counts.completion_tokens == len(said) + 1
    assert reply.tokens[0] == len(said)


async def test_tokens_of_text_that_is_held_back_are_told_with_it(tiny: Tiny) -> None:
    async with running(tiny.engine()) as engine:
        whole = (await reply_of(engine.generate(ASK, Sampling(max_tokens=40)))).texts[0]
        # Looks like a stop string at every step, and never is one.
        stops = tuple(character + "\0never" for character in sorted(set(whole)))
        reply = await reply_of(engine.generate(ASK, Sampling(max_tokens=40, stop=stops, logprobs=0)))

    assert reply.texts[0] == whole
    assert reply.tokens[0] == len(reply.logprobs[0]) == reply.finished[0].counts.completion_tokens == 40


async def test_the_bytes_of_the_tokens_are_those_of_the_text_where_a_character_takes_several(tiny: Tiny) -> None:
    async with running(tiny.engine()) as engine:
        reply = await reply_of(engine.generate(ASK, Sampling(max_tokens=40, logprobs=3, grammar=OneOf(("東 🙂",)))))

    tokens = [one.token for one in reply.logprobs[0]]
    assert reply.texts[0] == b"".join(tokens).decode() == "東 🙂"
    assert len(tokens) > len(reply.texts[0])


@pytest.mark.parametrize("prompt", [Tokens((), 0), Tokens((9, 9), 3), Tokens((9, 9), -1), Tokens((9, 10**6), 2)])
async def test_token_ids_that_mean_nothing_are_refused(tiny: Tiny, prompt: Tokens) -> None:
    async with running(tiny.engine()) as engine:
        with pytest.raises(InvalidPrompt):
            await anext(engine.generate(prompt, Sampling()))
        assert engine.load() == IDLE


# Faults


async def test_a_choice_whose_numbers_break_fails_alone(tiny: Tiny) -> None:
    token = tiny.tokenizer.control(CONDITION_TOKENS["synth"])
    broken = tiny.changed(lambda model: model.model.embed_tokens.weight[token].fill_(float("nan")))
    limits = Limits(context_tokens=128, kv_tokens=9 * PAGE_TOKENS, default_max_tokens=24, max_context_tokens=64)

    async with running(broken.engine(limits=limits)) as engine:
        alone = await reply_of(engine.generate(ASK, Sampling(logprobs=1)))
        beside, failed = await asyncio.gather(
            reply_of(engine.generate(ASK, Sampling(logprobs=1))), reply_of(engine.generate(POISON, Sampling(), n=2))
        )
        # In the pages that held the broken numbers.
        after = await reply_of(engine.generate(ASK, Sampling(logprobs=1), n=3))

    assert_same(beside, alone)
    assert sorted(failed.ends) == [0, 1]
    for end in failed.ends.values():
        assert isinstance(end, Failed)
        assert isinstance(end.error, EngineError)
        assert isinstance(end.error.__cause__, NotFinite)
    assert after.finished.keys() == {0, 1, 2}
    assert {*after.texts.values()} == {alone.texts[0]}


class StumblingRunner(Runner):
    """Raises in every forward that holds the poisonous question."""

    poison: int

    def step(self, sequences: Items[Sequence]) -> list[list[Drawn | NotFinite]]:
        if any(self.poison in sequence.ids[:2] for sequence in sequences):
            raise RuntimeError("the device fell over")
        return super().step(sequences)

    def read(self, reading: Reading, layers: int) -> bool:
        if any(self.poison in leader.ids[:2] for leader in reading.leaders):
            raise RuntimeError("the device fell over")
        return super().read(reading, layers)


@pytest.mark.parametrize("slice_tokens", [64, 4], ids=["in one forward with others", "read beside the others"])
async def test_what_raises_in_one_request_ends_it_and_no_other(tiny: Tiny, slice_tokens: int) -> None:
    class Stumbling(StumblingRunner):
        poison = tiny.tokenizer.control(CONDITION_TOKENS["synth"])

    async with running(tiny.engine(runner=Stumbling, slice_tokens=slice_tokens)) as engine:
        alone = await reply_of(engine.generate(ASK, Sampling(max_tokens=300)))
        long = engine.generate(ASK, Sampling(max_tokens=300))
        beside = Reply()
        for _ in range(3):
            beside.take(await anext(long))

        failed = await reply_of(engine.generate(POISON, Sampling(), n=2))
        async for event in long:
            beside.take(event)
        # All of them are read together, as nobody writes.
        *good, bad = await asyncio.gather(
            *(reply_of(engine.generate(ASK, Sampling())) for _ in range(3)),
            reply_of(engine.generate(POISON, Sampling())),
        )

        await until(lambda: engine.load() == IDLE)
    assert beside.texts == alone.texts
    assert sorted(failed.ends) == [0, 1]
    for end in (*failed.ends.values(), *bad.ends.values()):
        assert isinstance(end, Failed)
        assert isinstance(end.error, EngineError)
        assert not isinstance(end.error, EngineClosed)
        assert isinstance(end.error.__cause__, RuntimeError)
    assert [reply.finished[0].reason for reply in good] == ["length"] * 3


class ForgetfulRunner(Runner):
    """Returns fewer results than it was given sequences: a fault of ours that nothing foresees."""

    def step(self, sequences: Items[Sequence]) -> list[list[Drawn | NotFinite]]:
        return super().step(sequences)[1:]


async def test_nobody_waits_for_an_engine_whose_thread_has_died(tiny: Tiny) -> None:
    async with running(tiny.engine(runner=ForgetfulRunner, max_running=1)) as engine, asyncio.timeout(60):
        running_reply, waiting = await asyncio.gather(
            reply_of(engine.generate(ASK, Sampling())),
            reply_of(engine.generate(ASK, Sampling())),
            return_exceptions=True,
        )

        assert isinstance(running_reply, Reply)
        (end,) = running_reply.ends.values()
        assert isinstance(end, Failed)
        assert isinstance(waiting, EngineClosed)
        with pytest.raises(EngineClosed):
            await anext(engine.generate(ASK, Sampling()))
        await until(lambda: engine.load() == replace(IDLE, is_alive=False))


async def test_an_engine_that_is_closed_before_it_started_keeps_nobody_waiting(tiny: Tiny) -> None:
    engine = tiny.engine()
    asked = asyncio.create_task(reply_of(engine.generate(ASK, Sampling())))
    await asyncio.sleep(0)

    engine.close()

    with pytest.raises(EngineClosed):
        await asyncio.wait_for(asked, 60)


# Cancelling, queueing, ending


async def test_a_waiting_request_may_be_cancelled_and_the_next_one_takes_its_turn(tiny: Tiny) -> None:
    async with running(tiny.engine(max_running=1)) as engine:
        alone = await reply_of(engine.generate(ASK, Sampling()))
        first = engine.generate(ASK, Sampling(max_tokens=2000))
        await anext(first)
        second = asyncio.create_task(reply_of(engine.generate(ASK, Sampling())))
        third = asyncio.create_task(reply_of(engine.generate(ASK, Sampling())))
        await until(lambda: engine.load().waiting == 2)

        second.cancel()
        await until(lambda: engine.load().waiting == 1)

        assert not third.done()
        await first.aclose()
        assert (await third).texts == alone.texts
        assert second.cancelled()
        await until(lambda: engine.load() == IDLE)


async def test_an_answer_that_nobody_reads_is_not_written_on(tiny: Tiny) -> None:
    held = Held()
    async with running(tiny.engine(runner=held)) as engine:
        events = engine.generate(ASK, Sampling(max_tokens=200), n=2)
        await anext(events)
        await until(lambda: held.runner.is_in_step.is_set())

        await events.aclose()

        held.runner.may_step.set()
        await until(lambda: engine.load() == IDLE)
        assert held.runner.steps == 1


async def test_requests_that_came_and_went_during_a_step_are_not_counted_as_waiting(tiny: Tiny) -> None:
    held = Held()
    async with running(tiny.engine(runner=held)) as engine:
        first = asyncio.create_task(reply_of(engine.generate(ASK, Sampling(max_tokens=2))))
        await until(lambda: held.runner.is_in_step.is_set())
        others = [asyncio.create_task(reply_of(engine.generate(ASK, Sampling()))) for _ in range(3)]
        await until(lambda: engine.load().waiting == 3)

        for other in others:
            other.cancel()
        await asyncio.wait(others)

        waiting = engine.load().waiting
        held.runner.may_step.set()
        assert waiting == 0
        await first


async def test_the_age_of_a_step_is_told_while_it_lasts(tiny: Tiny) -> None:
    held = Held()
    async with running(tiny.engine(runner=held)) as engine:
        assert engine.load().step_age_s is None
        reply = asyncio.create_task(reply_of(engine.generate(ASK, Sampling(max_tokens=2))))
        await until(lambda: held.runner.is_in_step.is_set())

        await until(lambda: (engine.load().step_age_s or 0) > 0.05)

        held.runner.may_step.set()
        await reply
        await until(lambda: engine.load().step_age_s is None)


async def test_a_queue_that_is_full_refuses_only_the_newest(tiny: Tiny) -> None:
    async with running(tiny.engine(max_running=1, max_waiting=2)) as engine:
        first = engine.generate(ASK, Sampling(max_tokens=2000))
        await anext(first)
        queued = [asyncio.create_task(reply_of(engine.generate(ASK, Sampling(max_tokens=2)))) for _ in range(2)]
        await until(lambda: engine.load().waiting == 2)

        with pytest.raises(EngineOverloaded) as refusal:
            await anext(engine.generate(ASK, Sampling()))

        assert (refusal.value.waiting, refusal.value.limit) == (2, 2)
        await first.aclose()
        assert all(reply.finished for reply in await asyncio.gather(*queued))


async def test_a_burst_that_there_is_room_for_is_not_refused(tiny: Tiny) -> None:
    async with running(tiny.engine(max_running=8, max_waiting=0)) as engine:
        replies = await asyncio.gather(*(reply_of(engine.generate(ASK, Sampling(max_tokens=3))) for _ in range(8)))

    assert all(reply.finished for reply in replies)


async def test_a_drain_cancels_what_still_waits_as_a_refusal(tiny: Tiny) -> None:
    async with running(tiny.engine(max_running=1)) as engine:
        first = engine.generate(ASK, Sampling(max_tokens=2000))
        events: list[Event] = [await anext(first)]
        waiting = asyncio.create_task(reply_of(engine.generate(ASK, Sampling())))
        await until(lambda: engine.load().waiting == 1)

        await engine.drain(0)

        events += [event async for event in first]
        assert isinstance(events[-1], Failed)
        with pytest.raises(EngineClosed):
            await waiting
        assert engine.load() == replace(IDLE, is_alive=False)


async def test_a_drain_lets_what_waits_have_its_turn(tiny: Tiny) -> None:
    async with running(tiny.engine(max_running=1)) as engine:
        replies = [asyncio.create_task(reply_of(engine.generate(ASK, Sampling(max_tokens=8)))) for _ in range(3)]
        await asyncio.sleep(0)

        await engine.drain(60)

        assert [(await reply).finished[0].reason for reply in replies] == ["length"] * 3


async def test_200_short_requests_leave_nothing_behind(tiny: Tiny) -> None:
    async with running(tiny.engine(max_running=64, max_waiting=200)) as engine:
        asked = [reply_of(engine.generate(Question(f"refund {i}"), Sampling(max_tokens=1 + i % 3))) for i in range(200)]
        replies = await asyncio.gather(*asked)

        assert [reply.finished[0].counts.completion_tokens for reply in replies] == [1 + i % 3 for i in range(200)]
        await until(lambda: engine.load() == IDLE)


async def test_a_purge_overwrites_what_answers_have_left_and_touches_nothing_else(tiny: Tiny) -> None:
    caches: list[PagedCache] = []

    def build(model: HrmText, cache: KvCache, device: str) -> Runner:
        assert isinstance(cache, PagedCache)
        caches.append(cache)
        return Runner(model, cache, device)

    async with running(tiny.engine(runner=build, kept_pages=100)) as engine:
        for partition in ("a", "b", None):
            await reply_of(engine.generate(ASK, Sampling(max_tokens=40), n=2, partition=partition))
        (cache,) = caches
        left = int(cache.key.count_nonzero())
        # As if it had never been written to, and so took no memory.
        cache.key[:, -PAGE_TOKENS:] = 7.0

        await engine.purge()

    assert left > 0
    assert cache.key[:, :-PAGE_TOKENS].count_nonzero() == cache.value.count_nonzero() == 0
    assert bool((cache.key[:, -PAGE_TOKENS:] == 7.0).all())


async def test_seconds_add_up_to_the_time_that_the_caller_waited(tiny: Tiny) -> None:
    loop = asyncio.get_running_loop()
    async with running(tiny.engine(max_running=1)) as engine:

        async def timed() -> tuple[Reply, float]:
            began = loop.time()
            reply = await reply_of(engine.generate(ASK, Sampling(max_tokens=20)))
            return reply, loop.time() - began

        # Begun in this order, so that one waits for the other.
        _, (second, waited) = await asyncio.gather(reply_of(engine.generate(ASK, Sampling(max_tokens=60))), timed())

    seconds = second.finished[0].seconds
    assert min(seconds.queued, seconds.prefill, seconds.decode) > 0
    assert seconds.queued + seconds.prefill + seconds.decode <= waited


async def test_a_checkpoint_folder_becomes_an_engine(tmp_path_factory: pytest.TempPathFactory, tiny: Tiny) -> None:
    folder = make_checkpoint(tmp_path_factory.mktemp("served"))

    async with running(load_engine(folder, device="cpu", kv_bytes=2**22, max_running=4, max_waiting=4)) as engine:
        events = [event async for event in engine.generate(ASK, Sampling(max_tokens=5))]
        limits = engine.limits

    assert (limits.context_tokens, limits.default_max_tokens, limits.max_context_tokens) == (2048, 512, 1024)
    # 4 slots of one head of 64, keys and values in fp32: 2 KiB a token.
    assert limits.kv_tokens == 2**22 // 2048
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    expected = tiny.tokenizer.decode(tiny.greedy_ids(spell(ASK, tiny.tokenizer), 5))
    assert "".join(event.text for event in events if isinstance(event, Text)) == expected
