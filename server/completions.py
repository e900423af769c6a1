"""Prompts to answers without looking anything up: the way of /v1/completions."""

import codecs
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from anyio.to_thread import run_sync

from hrm_model.errors import ContextLengthExceeded, InvalidGrammar, InvalidPrompt, NeverFits
from hrm_model.types import Failed, Prompt, Scored, Spelled, Started, Text, Tokens
from server.best_of import likeliest
from server.deps import Services
from server.errors import InvalidRequest, wire_form
from server.events import AnswerEvent, Closed, Opened, Recited, Said, Used, closing
from server.identity import Caller, GroundedOnly
from server.metering import Meter
from server.metrics import Metrics
from server.pipeline import Answer
from server.plan import NO_STORE, check_form, store_of
from server.schemas.completion import CompletionRequest
from server.shape import shape_of
from server.together import NotStarted, Together


class Completions:
    """Holds the collaborators and no state of its own, so requests cannot meet in it."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._engine = services.engine
        self._speller = services.speller
        self._model = services.model
        self._policy = services.policy
        self._metrics = metrics

    async def answer(
        self, request: CompletionRequest, caller: Caller, meter: Meter | None = None
    ) -> tuple[Answer, list[Spelled]]:
        """Start answering, and return once the engine has taken every prompt.

        Args:
            meter: counts the tokens; without one nobody is charged for them.

        Returns:
            The answer, and its prompts as they are to be told; none where they are not.

        Raises:
            InvalidRequest, UnknownModel, GroundedOnly, RequestRefused, EngineError, OverLimit, NeverWithin: see
                server/errors.py.
        """
        self._check(request, caller)
        meter = meter or Meter()
        places: Sequence[str]
        prompts: Sequence[Prompt]
        places, prompts = zip(*request.prompts(), strict=True)
        n, sampling, shape = request.drawn_answers, request.sampling(), shape_of(request)
        meter.check_length(sampling.max_tokens)
        if shape is not None:
            sampling = replace(sampling, grammar=shape.grammar)
        allotted = await meter.allot(prompts, sampling, n, self._engine, self._speller)
        samplings = [replace(one, seed=seed) for one, seed in zip(allotted, request.seeds(), strict=True)]
        generations = Together(
            [
                self._metrics.observed(self._engine.generate(prompt, one, n=n, partition=caller.partition()), n)
                for prompt, one in zip(prompts, samplings, strict=True)
            ]
        )
        try:
            started = await generations.begin()
        except NotStarted as refusal:
            if shape is not None and isinstance(refusal.error, InvalidGrammar):
                raise shape.refusal(refusal.error) from refusal.error
            raise _named(refusal.error, places[refusal.index]) from refusal.error
        try:
            told, given = await run_sync(self._told, request, prompts)
        except BaseException:
            async with closing(generations):
                raise
        for index, first in enumerate(started):
            meter.hear(first, index)
        events = _said(generations, len(started), n, meter, given)
        if n > request.answers:
            with_logprobs = request.logprobs is not None
            events = likeliest(events, drawn=n, n=request.answers, with_logprobs=with_logprobs)
        return Answer(events, generations, meter.spent), told

    def _told(self, request: CompletionRequest, prompts: Sequence[Prompt]) -> tuple[list[Spelled], list[str]]:
        """What is told of each prompt, and of its answer's given beginning where that is told with scores."""
        if not request.echo and request.logprobs is None and not request.return_token_ids:
            return [], []
        spelled = map(self._speller.spelled, prompts)
        if not request.echo:
            return list(spelled), []
        told, given = zip(
            *(_parted(one, _read(prompt)) for one, prompt in zip(spelled, prompts, strict=True)), strict=True
        )
        if request.logprobs is None:
            return [replace(one, text=one.text + rest) for one, rest in zip(told, given, strict=True)], []
        return list(told), list(given)

    def _check(self, request: CompletionRequest, caller: Caller) -> None:
        if store_of(request.model, self._model, caller) not in (None, NO_STORE):
            raise InvalidRequest("This route retrieves from no store; use /v1/chat/completions.", param="model")
        if caller.grounded_only:
            raise GroundedOnly
        check_form(request, self._policy)
        if request.max_tokens == 0 and not request.echo:
            raise InvalidRequest("With 'max_tokens' 0 there is nothing to say but an 'echo'.", param="max_tokens")
        if request.drawn_answers > self._policy.max_choices:
            raise InvalidRequest(f"'best_of' is at most {self._policy.max_choices} here.", param="best_of")
        if request.drawn_answers < request.answers:
            raise InvalidRequest("'best_of' is smaller than 'n'.", param="best_of")
        if request.stream and request.drawn_answers > request.answers:
            raise InvalidRequest("Which answers are best is known at their end: no stream.", param="best_of")


def _named(error: BaseException, place: str) -> BaseException:
    """The same refusal, naming the prompt that it is about."""
    if isinstance(error, ContextLengthExceeded | NeverFits | InvalidPrompt):
        return InvalidRequest(str(error), param=getattr(error, "param", None) or place, code=wire_form(error).code)
    return error


def _read(prompt: Prompt) -> int | None:
    """How many tokens are read before anything is scored; None: all of a question."""
    return max(1, prompt.prefix_len) if isinstance(prompt, Tokens) else None


def _parted(spelled: Spelled, read: int | None) -> tuple[Spelled, str]:
    """A prompt without the beginning of its answer, and that.

    A character may begin in one and end in the other, or in what is drawn: it is in the part that completes it.
    """
    if read is None:
        return spelled, ""
    utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
    tokens, given = spelled.tokens[:read], spelled.tokens[read:]
    return replace(spelled, text=utf8.decode(b"".join(tokens)), tokens=tokens), utf8.decode(b"".join(given))


async def _said(
    generations: Together, prompts: int, n: int, meter: Meter, given: Sequence[str]
) -> AsyncGenerator[AnswerEvent, None]:
    """The events of all generations, their choices counted through.

    Args:
        given: what the answers to each prompt begin with; empty where that is not to be told.
    """
    for choice in range(n * prompts):
        yield Opened(choice, None)
    async with closing(generations), closing(generations.events()) as events:
        async for index, event in events:
            assert not isinstance(event, Started), "an engine starts once"
            meter.hear(event, index)
            if isinstance(event, Failed):
                raise event.error
            choice = index * n + event.choice
            if isinstance(event, Scored):
                if given:
                    yield Recited(choice, given[index], event.logprobs)
            elif isinstance(event, Text):
                if event.text or event.ids:
                    yield Said(choice, event.text, event.logprobs, event.ids)
            else:
                yield Closed(choice, event.reason, None, None)
    yield Used.of(meter.spent)
