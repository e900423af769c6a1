"""The contract of server.ports.Engine, run on the native engine and on the fake alike."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from hrm_model.errors import (
    ContextLengthExceeded,
    EngineClosed,
    EngineOverloaded,
    InvalidGrammar,
    InvalidPrompt,
    InvalidSampling,
    NeverFits,
    RequestRefused,
)
from hrm_model.spelling import Speller as NativeSpeller
from hrm_model.types import (
    Event,
    Failed,
    Finished,
    JsonSchema,
    Limits,
    Load,
    Prompt,
    Question,
    Sampling,
    Scored,
    Started,
    Text,
    Tokens,
)
from server.ports import Engine, Speller
from tests.engines import Reply, Tiny, reply_of
from tests.fakes.engine import ScriptedEngine
from tests.waiting import until

pytestmark = pytest.mark.anyio

ASK = Question("Who approves a refund?")
LIMITS = Limits(context_tokens=2048, kv_tokens=8192, default_max_tokens=24, max_context_tokens=1024)
# Longer than anything that a test waits for, so that it is still being written when the next thing happens.
LONG = Sampling(max_tokens=2000)
SCRIPT = [f"word {number}, " for number in range(2100)]


class Make(Protocol):
    async def __call__(self, limits: Limits = LIMITS, max_running: int = 8) -> Engine: ...


@pytest.fixture(params=["scripted", "native"])
async def make(request: pytest.FixtureRequest, tiny: Tiny) -> AsyncIterator[Make]:
    """Engines without a queue, whose answers go on until max_tokens."""
    made: list[Engine] = []

    async def make(limits: Limits = LIMITS, max_running: int = 8) -> Engine:
        if request.param == "scripted":
            made.append(ScriptedEngine(*SCRIPT, limits=limits, max_running=max_running))
        else:
            native = tiny.engine(limits=limits, max_running=max_running, max_waiting=0, kept_pages=64)
            native.start()
            made.append(native)
        return made[-1]

    yield make
    for engine in made:
        await engine.drain(0)


async def refused(engine: Engine, question: Prompt = ASK, sampling: Sampling | None = None, n: int = 1) -> Exception:
    """What is raised in the place of the first event."""
    with pytest.raises((RequestRefused, EngineClosed)) as refusal:
        await anext(engine.generate(question, sampling or Sampling(), n=n))
    return refusal.value


async def test_started_comes_first_then_text_then_one_end(make: Make) -> None:
    events = [event async for event in (await make()).generate(ASK, Sampling(max_tokens=9))]

    first, *texts, last = events
    assert isinstance(first, Started)
    assert all(isinstance(event, Text) and event.choice == 0 for event in texts)
    assert isinstance(last, Finished)
    assert "".join(event.text for event in texts if isinstance(event, Text)).strip()


async def test_a_prompt_counts_its_text_its_condition_and_two_control_tokens(make: Make) -> None:
    engine = await make()
    question = Question("Who approves a refund?", condition=("synth", "cot"))

    reply = await reply_of(engine.generate(question, Sampling(max_tokens=2)))

    (text_tokens,) = engine.count([question.text])
    assert reply.started[0].prompt_tokens == text_tokens + 2 + 2
    assert reply.finished[0].counts.prompt_tokens == text_tokens + 2 + 2


async def test_token_ids_are_read_as_they_are(make: Make) -> None:
    engine = await make()

    reply = await reply_of(engine.generate(Tokens((20, 21, 22), 3), Sampling(max_tokens=4)))

    assert reply.started[0].prompt_tokens == reply.finished[0].counts.prompt_tokens == 3
    assert reply.tokens[0] == 4
    for broken in (Tokens((), 0), Tokens((20,), 2), Tokens((20, 10**6), 2), Tokens((-1,), 1)):
        assert isinstance(await refused(engine, broken), InvalidPrompt)


@pytest.mark.parametrize("prefix_len", [0, 1, 2])
async def test_the_given_beginning_of_an_answer_is_scored_before_it_goes_on(make: Make, prefix_len: int) -> None:
    given = 4 - max(1, prefix_len)  # a first token follows nothing
    asked = (await make()).generate(Tokens((20, 21, 22, 23), prefix_len), Sampling(max_tokens=3, logprobs=1), n=2)

    events = [event async for event in asked]

    for choice in range(2):
        first, *others = [event for event in events[1:] if not isinstance(event, Started) and event.choice == choice]
        assert isinstance(first, Scored)
        assert len(first.logprobs) == given
        assert all(one.logprob <= 0 and len(one.top) == 1 for one in first.logprobs)
        assert sum(event.tokens for event in others if isinstance(event, Text)) == 3
    reply = Reply()
    for event in events:
        reply.take(event)
    assert reply.started[0].prompt_tokens == reply.finished[0].counts.prompt_tokens == 4
    assert reply.finished[0].counts.completion_tokens == 3


async def test_without_log_probabilities_nothing_is_scored(make: Make) -> None:
    reply = await reply_of((await make()).generate(Tokens((20, 21, 22), 1), Sampling(max_tokens=3)))

    assert not reply.scored
    assert reply.tokens[0] == 3


@pytest.mark.parametrize("prompt", [ASK, Tokens((20, 21, 22), 3), Tokens((20, 21, 22), 1)], ids=str)
async def test_who_wants_no_tokens_gets_none(make: Make, prompt: Prompt) -> None:
    reply = await reply_of((await make()).generate(prompt, Sampling(max_tokens=0, logprobs=0), n=2))

    assert not reply.texts
    assert [len(reply.scored.get(choice, ())) for choice in range(2)] == [2 * (prompt == Tokens((20, 21, 22), 1))] * 2
    for end in reply.finished.values():
        assert (end.reason, end.counts.completion_tokens) == ("length", 0)
        assert end.counts.prompt_tokens == reply.started[0].prompt_tokens


async def test_a_prompt_may_fill_the_context_where_no_tokens_are_wanted(make: Make) -> None:
    engine = await make(Limits(context_tokens=64, kv_tokens=1024, default_max_tokens=24, max_context_tokens=32))
    full = Tokens((20,) * 64, 40)

    reply = await reply_of(engine.generate(full, Sampling(max_tokens=0, logprobs=0)))

    assert len(reply.scored[0]) == 24
    assert isinstance(await refused(engine, full), ContextLengthExceeded)
    assert isinstance(await refused(engine, full, Sampling(max_tokens=1)), ContextLengthExceeded)
    assert isinstance(await refused(engine, Tokens((20,) * 65, 65), Sampling(max_tokens=0)), ContextLengthExceeded)


@pytest.mark.parametrize("prompt", [ASK, Question("why?", ("synth", "cot")), Tokens((20, 21, 22), 3)], ids=str)
async def test_a_prompt_reads_back_in_as_many_tokens_as_are_counted(make: Make, tiny: Tiny, prompt: Prompt) -> None:
    engine = await make()
    speller: Speller = engine if isinstance(engine, ScriptedEngine) else NativeSpeller(tiny.tokenizer)

    spelled = speller.spelled(prompt)

    reply = await reply_of(engine.generate(prompt, Sampling(max_tokens=1)))
    assert len(spelled.tokens) == reply.started[0].prompt_tokens
    if isinstance(prompt, Question):
        assert spelled.text == b"".join(spelled.tokens).decode() == prompt.text
    with pytest.raises(InvalidPrompt):
        speller.spelled(Tokens((10**6,), 1))


async def test_texts_are_counted_one_by_one(make: Make) -> None:
    engine = await make()
    texts = ["Who approves a refund?", "", "Who approves a refund? Who approves a refund?"]

    counts = engine.count(texts)

    assert counts == [engine.count([text])[0] for text in texts]
    assert counts[1] == 0 < counts[0] < counts[2]
    assert engine.count([]) == []


async def test_the_least_tokens_of_a_text_are_no_more_than_it_has(make: Make) -> None:
    engine = await make()

    for text in ("", "a", "Who approves a refund?", "why " * 3000, "\n" * 5000, "\u0344" * 500):
        assert 0 <= engine.least(text) <= engine.count([text])[0]
    assert engine.least("why " * 100_000) > LIMITS.context_tokens


@pytest.mark.parametrize("n", [1, 2, 5])
async def test_every_choice_has_exactly_one_end(make: Make, n: int) -> None:
    reply = await reply_of((await make()).generate(ASK, Sampling(max_tokens=6), n=n))

    assert list(reply.finished) == sorted(reply.texts) == list(range(n))
    assert len(reply.started) == 1


async def test_an_answer_ends_at_max_tokens_and_says_length(make: Make) -> None:
    reply = await reply_of((await make()).generate(ASK, Sampling(max_tokens=7)))

    assert reply.finished[0].reason == "length"
    assert reply.finished[0].counts.completion_tokens == reply.tokens[0] == 7


async def test_without_max_tokens_the_engines_own_number_holds(make: Make) -> None:
    reply = await reply_of((await make()).generate(ASK, Sampling()))

    assert reply.finished[0].reason == "length"
    assert reply.finished[0].counts.completion_tokens == LIMITS.default_max_tokens


async def test_without_max_tokens_an_answer_takes_no_more_than_the_context_leaves(make: Make) -> None:
    engine = await make()
    prompt = engine.count([ASK.text])[0] + 3
    cramped = await make(Limits(prompt + 5, 1024, default_max_tokens=24, max_context_tokens=8))

    reply = await reply_of(cramped.generate(ASK, Sampling()))

    assert reply.finished[0].counts.completion_tokens == 5


async def test_the_same_question_gets_the_same_answer(make: Make) -> None:
    engine = await make()

    first, second = [await reply_of(engine.generate(ASK, Sampling())) for _ in range(2)]

    assert first.texts == second.texts


async def test_an_answer_is_cut_at_its_stop_string(make: Make) -> None:
    engine = await make()
    whole = (await reply_of(engine.generate(ASK, Sampling()))).texts[0]
    stop = whole[9:12]

    reply = await reply_of(engine.generate(ASK, Sampling(stop=("not in it", stop))))

    assert reply.texts.get(0, "") == whole[: whole.find(stop)]
    assert reply.finished[0].reason == "stop"
    # No closing token was drawn, so every token is beside its text.
    assert reply.finished[0].counts.completion_tokens == reply.tokens[0] < LIMITS.default_max_tokens


async def test_what_a_stop_string_cuts_off_has_no_log_probabilities(make: Make) -> None:
    engine = await make()
    whole = await reply_of(engine.generate(ASK, Sampling()))
    said, middle = whole.texts[0], len(whole.texts[0]) // 2

    for stop in (said[middle : middle + 9], said[:1]):
        reply = await reply_of(engine.generate(ASK, Sampling(stop=(stop,), logprobs=1)))

        text, tokens = reply.texts[0], [one.token for one in reply.logprobs[0]]
        assert text == said[: said.find(stop)]
        assert b"".join(tokens).decode(errors="replace").startswith(text)
        assert len(tokens) < reply.tokens[0] == reply.finished[0].counts.completion_tokens
        assert bool(tokens) == bool(text)


async def test_logprobs_stand_beside_every_token_where_asked_for(make: Make) -> None:
    engine = await make()

    for events in (engine.generate(ASK, Sampling(logprobs=1)), engine.generate(ASK, Sampling(logprobs=0))):
        texts = [event async for event in events if isinstance(event, Text)]
        assert all(len(event.logprobs) == event.tokens for event in texts)
        assert all(one.logprob <= 0 for event in texts for one in event.logprobs)
        assert sum(event.tokens for event in texts) == LIMITS.default_max_tokens
    assert not any((await reply_of(engine.generate(ASK, Sampling()))).logprobs[0])


async def test_a_prompt_longer_than_the_context_is_refused_before_it_starts(make: Make) -> None:
    engine = await make()
    question = Question("why " * 3000)

    refusal = await refused(engine, question)

    assert isinstance(refusal, ContextLengthExceeded)
    assert refusal.prompt_tokens == engine.count([question.text.strip()])[0] + 3
    assert (refusal.limit, refusal.max_tokens) == (LIMITS.context_tokens, None)


async def test_prompt_and_answer_together_must_fit_the_context(make: Make) -> None:
    engine = await make()
    room = LIMITS.context_tokens - engine.count([ASK.text])[0] - 3

    refusal = await refused(engine, sampling=Sampling(max_tokens=room + 1))

    assert isinstance(refusal, ContextLengthExceeded)
    assert refusal.max_tokens == room + 1
    events = engine.generate(ASK, Sampling(max_tokens=room))
    assert isinstance(await anext(events), Started)
    await events.aclose()


async def test_what_can_never_fit_is_refused_before_it_starts(make: Make) -> None:
    refusal = await refused(await make(), sampling=LONG, n=6)

    assert isinstance(refusal, NeverFits)
    assert refusal.needed_tokens > refusal.kv_tokens == LIMITS.kv_tokens
    assert refusal.param == "n"


@pytest.mark.parametrize("n", [1, 2, 3])
async def test_answers_that_were_given_no_length_have_what_a_small_cache_leaves(make: Make, n: int) -> None:
    engine = await make(Limits(context_tokens=2048, kv_tokens=656, default_max_tokens=512, max_context_tokens=1024))
    prompt = Tokens((20,) * 500, 500)

    reply = await reply_of(engine.generate(prompt, Sampling(), n=n))

    longest = engine.longest(500, n)
    assert reply.tokens == dict.fromkeys(range(n), longest)
    assert 656 - 500 - 16 * n <= n * longest <= 656 - 500
    # Pages are taken whole, so no more can be asked for.
    refusal = await refused(engine, prompt, Sampling(max_tokens=longest + 1), n=n)
    assert isinstance(refusal, NeverFits)
    assert refusal.param == ("n" if n > 1 else "max_tokens")


async def test_without_a_length_the_default_and_the_context_are_limits_too(make: Make) -> None:
    engine = await make()

    assert engine.longest(10, 1) == LIMITS.default_max_tokens
    assert engine.longest(LIMITS.context_tokens - 5, 1) == 5
    assert engine.longest(LIMITS.context_tokens, 1) < 1


async def test_a_prompt_that_leaves_no_cache_for_any_answer_never_fits(make: Make) -> None:
    engine = await make(Limits(context_tokens=2048, kv_tokens=656, default_max_tokens=512, max_context_tokens=1024))

    assert engine.longest(656, 1) < 1
    refusal = await refused(engine, Tokens((20,) * 656, 656))
    assert isinstance(refusal, NeverFits)
    assert refusal.param is None


@pytest.mark.parametrize(
    ("question", "sampling", "n"),
    [
        (ASK, Sampling(), 0),
        (ASK, Sampling(), 129),
        (ASK, Sampling(max_tokens=-1), 1),
        (Question("Why?", condition=("cot", "direct")), Sampling(), 1),
    ],
    ids=["no choice", "too many choices", "no token", "untrained condition"],
)
async def test_nonsense_is_refused_before_it_starts(make: Make, question: Question, sampling: Sampling, n: int) -> None:
    assert isinstance(await refused(await make(), question, sampling, n), InvalidPrompt)


@pytest.mark.parametrize(
    ("sampling", "param"),
    [
        (Sampling(min_p=1.5), "min_p"),
        (Sampling(frequency_penalty=3), "frequency_penalty"),
        (Sampling(repetition_penalty=0), "repetition_penalty"),
        (Sampling(logprobs=21), "logprobs"),
        (Sampling(logit_bias=((10**6, 1.0),)), "logit_bias"),
        (Sampling(stop_token_ids=(10**6,)), "stop_token_ids"),
        (Sampling(max_tokens=4, min_tokens=5), "min_tokens"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_sampling_out_of_range_is_refused_by_name(make: Make, sampling: Sampling, param: str) -> None:
    engine = await make()

    refusal = await refused(engine, sampling=sampling)

    assert isinstance(refusal, InvalidSampling)
    assert refusal.param == param
    assert engine.load() == Load(kv_tokens=LIMITS.kv_tokens)


async def test_a_grammar_that_cannot_be_kept_is_refused_by_its_place(make: Make) -> None:
    schema = JsonSchema('{"properties": {"days": {"not": {"type": "null"}}}}')

    error = await refused(await make(), sampling=Sampling(grammar=schema))

    assert isinstance(error, InvalidGrammar)
    assert error.place == "properties.days.not"


async def test_a_full_engine_refuses_and_takes_questions_again_afterwards(make: Make) -> None:
    engine = await make(max_running=1)
    running = engine.generate(ASK, LONG)
    await anext(running)

    refusal = await refused(engine)

    assert isinstance(refusal, EngineOverloaded)
    assert (refusal.waiting, refusal.limit) == (0, 0)
    await running.aclose()
    await until(lambda: engine.load().running == 0)
    assert (await reply_of(engine.generate(ASK, Sampling()))).finished


async def test_a_full_cache_refuses_as_well(make: Make) -> None:
    engine = await make()
    running = engine.generate(ASK, LONG, n=3)
    await anext(running)

    assert isinstance(await refused(engine, sampling=LONG, n=2), EngineOverloaded)
    await running.aclose()


async def test_a_refused_request_leaves_nothing_behind(make: Make) -> None:
    engine = await make()

    await refused(engine, Question("why " * 3000))
    await refused(engine, sampling=LONG, n=6)

    assert engine.load() == Load(kv_tokens=LIMITS.kv_tokens)


async def test_a_prompt_is_found_again_by_its_own_partition_until_that_is_purged(make: Make) -> None:
    engine = await make()

    async def cached(partition: str | None, prompt: Prompt = ASK) -> int:
        reply = await reply_of(engine.generate(prompt, Sampling(max_tokens=3), partition=partition))
        assert reply.started[0].cached_tokens in (0, reply.started[0].prompt_tokens)
        return reply.started[0].cached_tokens

    assert [await cached("a"), await cached("b"), await cached(None), await cached(None)] == [0, 0, 0, 0]
    assert await cached("a", Question("Who else approves a refund?")) == 0
    assert min(await cached("a"), await cached("b")) > 0

    await engine.purge("a")
    assert await cached("a") == 0
    assert await cached("b") > 0

    await engine.purge()
    assert await cached("b") == 0


async def test_a_purge_leaves_an_answer_alone_that_is_being_written(make: Make) -> None:
    engine = await make()
    alone = await reply_of(engine.generate(ASK, Sampling(max_tokens=60), n=2, partition="a"))
    writing = engine.generate(ASK, Sampling(max_tokens=60), n=2, partition="a")
    reply = Reply()
    for _ in range(4):
        reply.take(await anext(writing))

    await engine.purge()

    async for event in writing:
        reply.take(event)
    assert reply.texts == alone.texts


async def test_a_purge_that_nobody_waits_for_any_more_harms_no_answer(make: Make) -> None:
    engine = await make()
    alone = await reply_of(engine.generate(ASK, Sampling(max_tokens=60)))
    writing = engine.generate(ASK, Sampling(max_tokens=60))
    reply = Reply()
    reply.take(await anext(writing))

    for _ in range(5):
        purging = asyncio.ensure_future(engine.purge())
        await asyncio.sleep(0)  # begun, so that the engine has been told
        purging.cancel()

    async for event in writing:
        reply.take(event)
    assert reply.texts == alone.texts
    assert engine.load().is_alive


async def test_load_tells_what_runs_and_what_it_has_reserved(make: Make) -> None:
    engine = await make()
    events = engine.generate(ASK, LONG, n=3)
    await anext(events)
    await anext(events)

    load = engine.load()

    assert (load.running, load.waiting, load.kv_tokens) == (3, 0, LIMITS.kv_tokens)
    assert 3 * 2000 < load.kv_tokens_used <= load.kv_tokens
    await events.aclose()


async def test_closing_the_generator_ends_all_choices_and_frees_their_pages(make: Make) -> None:
    engine = await make()
    events = engine.generate(ASK, LONG, n=3)
    for _ in range(5):
        await anext(events)

    await events.aclose()

    await until(lambda: engine.load() == Load(kv_tokens=LIMITS.kv_tokens))


async def test_a_generator_closed_before_its_first_event_asks_for_nothing(make: Make) -> None:
    engine = await make()
    events = engine.generate(ASK, LONG)

    await events.aclose()

    assert engine.load() == Load(kv_tokens=LIMITS.kv_tokens)


async def test_a_finished_answer_frees_its_pages(make: Make) -> None:
    engine = await make()

    await reply_of(engine.generate(ASK, Sampling(), n=3))

    await until(lambda: engine.load() == Load(kv_tokens=LIMITS.kv_tokens))


async def test_every_token_of_a_text_comes_with_its_id_whether_likelihoods_are_asked_for_or_not(make: Make) -> None:
    engine = await make()

    plain, scored = [await reply_of(engine.generate(ASK, Sampling(logprobs=asked), n=2)) for asked in (None, 1)]

    assert [len(plain.ids[choice]) for choice in range(2)] == [plain.tokens[choice] for choice in range(2)]
    assert scored.ids == plain.ids


async def test_answers_are_written_side_by_side(make: Make) -> None:
    engine = await make()
    alone = await reply_of(engine.generate(ASK, Sampling()))

    replies = await asyncio.gather(*(reply_of(engine.generate(ASK, Sampling())) for _ in range(5)))

    assert [reply.texts for reply in replies] == [alone.texts] * 5


async def test_a_draining_engine_lets_answers_end_and_takes_no_more(make: Make) -> None:
    engine = await make()
    running = engine.generate(ASK, Sampling(max_tokens=40), n=2)
    reply = Reply()
    reply.take(await anext(running))
    draining = asyncio.create_task(engine.drain(60))
    await asyncio.sleep(0)

    assert isinstance(await refused(engine), EngineClosed)

    assert not draining.done()
    async for event in running:
        reply.take(event)
    await draining
    assert [end.reason for end in reply.finished.values()] == ["length", "length"]
    assert isinstance(await refused(engine), EngineClosed)


async def test_what_has_not_ended_in_time_is_cancelled_and_told(make: Make) -> None:
    engine = await make()
    running = engine.generate(ASK, LONG, n=2)
    events: list[Event] = [await anext(running)]

    await engine.drain(0.01)

    events += [event async for event in running]
    ends = {event.choice: event for event in events if isinstance(event, Finished | Failed)}
    assert sorted(ends) == [0, 1]
    assert all(isinstance(end, Failed) and isinstance(end.error, EngineClosed) for end in ends.values())
    await until(lambda: engine.load() == Load(kv_tokens=LIMITS.kv_tokens, is_alive=False))


async def test_an_idle_engine_drains_at_once_and_may_be_drained_again(make: Make) -> None:
    engine = await make()
    async with asyncio.timeout(30):
        await engine.drain(3600)
        await engine.drain(3600)

    assert isinstance(await refused(engine), EngineClosed)
