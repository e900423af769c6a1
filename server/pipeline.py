"""A question's one-way trip: plan, search, prompt, engine, check."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import groupby
from time import perf_counter

from anyio.to_thread import run_sync

from hrm_model.template import UNANSWERABLE
from hrm_model.types import Event, Failed, Finished, Sampling, Scored, SpanOf, Started, Text
from retrieval.errors import DocumentNotFound, RetrievalError, StoreNotFound
from retrieval.types import Hits, Passage, Reader
from server.calls import OpenCall, told
from server.deps import Services
from server.errors import DefaultStoreUnavailable, UnknownStore
from server.events import AnswerEvent, Closable, Closed, EndReason, Opened, Refused, Said, Sources, Used, closing
from server.grounding.cite import CitedText, Verdict
from server.grounding.likeness import Likeness
from server.grounding.structure import CitedStructure
from server.grounding.support import Sources as CheckedSources
from server.identity import Caller
from server.metering import Meter
from server.metrics import Metrics
from server.neighbours import Between, Gap, gaps
from server.plan import Brought, Plan, Search, plan
from server.prompt import Conversation, conversation, pack, refuse_hopeless
from server.query import rewrite_query
from server.schemas.chat import ChatRequest
from server.shape import Shape, started
from server.spent import Spent

Check = CitedText | CitedStructure


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer under way. Closing it frees the engine, whether or not anybody has begun to read."""

    events: AsyncGenerator[AnswerEvent, None]
    engine: Closable | None
    spent: Spent  # so far, while it is read

    async def aclose(self) -> None:
        """Stop."""
        await self.events.aclose()
        if self.engine is not None:
            await self.engine.aclose()


@dataclass(frozen=True, slots=True)
class _Writing:
    """The choices of one request while they are written."""

    sources: Sources | None
    checks: list[Check] | None  # None: there are no sources to check against
    calls: list[OpenCall]  # none: the answers are texts
    check_s: list[float]  # that checking has taken so far, by choice

    def may_check(self, event: Text) -> bool:
        """May this piece end a sentence, which takes milliseconds to check?"""
        return self.checks is not None and self.checks[event.choice].may_check(event.text)

    def said(self, event: Text) -> AnswerEvent | None:
        """What a piece of the model's answer puts on the wire; None where it is held back."""
        began = perf_counter()
        said = self._said(event)
        self.check_s[event.choice] += perf_counter() - began
        return said

    def _said(self, event: Text) -> AnswerEvent | None:
        check = self.checks[event.choice] if self.checks else None
        if self.calls:
            called = self.calls[event.choice].grow(event.text, event.logprobs)
            if called is not None and check is not None:
                check.grow(called.arguments)
            return called
        text = check.grow(event.text) if check else event.text
        return Said(event.choice, text, event.logprobs) if text or event.logprobs else None


class Pipeline:
    """Holds the collaborators and no state of its own, so requests cannot meet in it."""

    def __init__(
        self,
        services: Services,
        metrics: Metrics,
        *,
        as_of: int | None = None,
        stores: tuple[str, ...] | None = None,
    ) -> None:
        """Take the collaborators.

        Args:
            as_of: a generation of the store to answer at, as `server.ports.Retriever` has it; None: now.
            stores: ids to look up whatever stores a request comes to; None: those.
        """
        self._as_of = as_of
        self._stores = stores
        self._engine = services.engine
        self._speller = services.speller
        self._retriever = services.retriever
        self._library = services.library
        self._model = services.model
        self._policy = services.policy
        self._metrics = metrics
        self._embedder = services.embedder

    async def answer(self, request: ChatRequest, caller: Caller, meter: Meter | None = None) -> Answer:
        """Start answering, and return once the engine has taken the request.

        Everything that can be refused is refused here, while the HTTP status is still ours to choose.

        Args:
            meter: counts the tokens; without one nobody is charged for them.

        Raises:
            InvalidRequest, UnknownModel, UnknownStore, GroundedOnly, RequestRefused, EngineError, RetrievalError,
            OverLimit, NeverWithin: see server/errors.py for their wire forms.
        """
        meter = meter or Meter()
        n, sampling = request.n or 1, request.sampling()
        meter.check_length(sampling.max_tokens)
        todo = plan(request, caller, self._model, self._policy)
        talk = await run_sync(self._talk, request, todo)
        if isinstance(todo.lookup, Search):
            meter.check(sampling.max_tokens, n)
        sources, shape = await self._look_up(todo, talk, caller), todo.shape
        calls = [OpenCall(choice) for choice in range(n)] if shape is not None and shape.calls else []
        # A call is no answer from documents; finding none of them is no reason not to make it.
        if sources is not None and not sources.passages and todo.grounding != "off" and not calls:
            return Answer(self._nothing_found(sources, n, shape, meter), None, meter.spent)
        if shape is not None:
            sampling = replace(sampling, grammar=shape.grammar)
        packing = partial(
            pack,
            talk,
            sources.passages if sources else (),
            engine=self._engine,
            condition=request.conditions(),
            max_tokens=sampling.max_tokens,
            max_context_tokens=todo.max_context_tokens,
            shots=self._policy.shots,
            between=await self._between(sources.passages, caller.reader()) if sources else None,
        )
        began = perf_counter()
        packed = await run_sync(packing)  # counting a long conversation takes long enough to be felt by others
        if sources is not None:
            sources = replace(sources, passages=packed.passages, truncated=packed.truncated, left_out=packed.left_out)
            self._metrics.packed(perf_counter() - began, len(packed.passages))
        sampling = self._held(sampling, todo, packed.passages)
        (sampling,) = await meter.allot([packed.prompt], sampling, n, self._engine, self._speller)
        events = self._engine.generate(packed.prompt, sampling, n=n, partition=caller.partition())
        generation = self._metrics.observed(events, n)
        first = await started(generation, shape)  # an early failure raises here and not in mid-stream
        assert isinstance(first, Started), "an engine begins with Started"
        began = perf_counter()
        try:
            checks = await run_sync(self._checks, todo, talk, sources, n)
        except BaseException:
            async with closing(generation):
                raise
        writing = _Writing(sources, checks, calls, [(perf_counter() - began) / n] * n)
        meter.hear(first)
        return Answer(self._checked(n, generation, writing, meter), generation, meter.spent)

    def _talk(self, request: ChatRequest, todo: Plan) -> Conversation:
        """What was said, which may be thousands of messages, if there is any hope that it fits."""
        talk = conversation(request.messages)
        if todo.shape is not None and todo.shape.calls:
            functions = told([one.function for one in todo.shape.calls])
            talk = replace(talk, system="\n\n".join(filter(None, (talk.system, functions))))
        refuse_hopeless(talk, self._engine)
        return talk

    def _held(self, sampling: Sampling, todo: Plan, passages: Sequence[Passage]) -> Sampling:
        """Hold a model that only quotes to what stands in the passages: it may misspell a name that is new to it."""
        is_held = self._model.is_extractive and bool(passages) and todo.grounding != "off"
        if not is_held or todo.shape is not None or sampling.ignore_eos:
            return sampling
        leaning = self._model.abstention_bias if todo.grounding == "strict" else 0.0
        texts = tuple(passage.text for passage in passages)
        return replace(sampling, grammar=SpanOf(texts, (UNANSWERABLE,), leaning))

    async def _look_up(self, todo: Plan, talk: Conversation, caller: Caller) -> Sources | None:
        match todo.lookup:
            case None:
                return None
            case Brought(passages):
                return Sources(passages, (), len(passages), truncated=False, generation=None)
            case Search() as search:
                query = rewrite_query(talk.question, talk.earlier_questions)
                hits = await self._search(query, search, caller)
                return Sources(
                    hits.passages,
                    (query,),
                    len(hits.passages),
                    truncated=False,
                    generation=hits.generation,
                    stores=search.stores,
                    store_ids=hits.stores,
                )

    async def _between(self, passages: Sequence[Passage], reader: Reader) -> Between:
        """What stands between neighbours; nothing of documents that have gone or changed since they were found."""
        found: dict[Gap, str] = {}
        for file_id, at in groupby(gaps(passages), lambda gap: gap.file_id):
            try:
                text = await self._library.text(file_id, reader)
            except DocumentNotFound:
                continue
            digest = await run_sync(lambda text: sha256(text.encode()).hexdigest(), text)
            found |= {gap: text[gap.start : gap.end] for gap in at if gap.sha256 == digest}
        return found

    async def _search(self, query: str, search: Search, caller: Caller) -> Hits:
        began = perf_counter()
        try:
            hits = await self._retriever.search(
                query,
                stores=self._stores or search.stores,
                k=search.k,
                reader=caller.reader(),
                filters=search.filters,
                score_threshold=search.score_threshold,
                weights=search.weights,
                as_of=self._as_of,
            )
        except StoreNotFound as error:
            if search.is_default:
                raise DefaultStoreUnavailable(error.store, self._model.id) from error
            raise UnknownStore(error.store, search.param) from error
        except RetrievalError:
            self._metrics.search_failed()
            raise
        self._metrics.searched(perf_counter() - began, hits)
        return hits

    def _checks(self, todo: Plan, talk: Conversation, sources: Sources | None, n: int) -> list[Check] | None:
        if sources is None or not sources.passages:
            return None
        texts = [passage.text for passage in sources.passages]
        titles = [passage.title for passage in sources.passages]
        likeness = Likeness(self._embedder)
        checked = CheckedSources(texts, talk.question, likeness, titles, likeness.entailed)
        mode, abstention, shape = todo.grounding, self._policy.abstention, todo.shape
        if shape is None:
            return [CitedText(checked, mode=mode, abstention=abstention) for _ in range(n)]
        is_json = shape.is_json or bool(shape.calls)
        mode = "off" if shape.calls else mode  # arguments are checked, but there is no content to annotate
        return [CitedStructure(checked, mode=mode, abstention=abstention, is_json=is_json) for _ in range(n)]

    async def _nothing_found(
        self, sources: Sources, n: int, shape: Shape | None, meter: Meter
    ) -> AsyncGenerator[AnswerEvent, None]:
        for choice in range(n):
            yield Opened(choice, sources)
            yield Refused(choice, self._policy.abstention) if shape else Said(choice, self._policy.abstention)
            self._metrics.grounded("no_sources")
            yield Closed(choice, "stop", sources, Verdict("no_sources", replaced=True))
        yield Used.of(meter.spent)

    async def _checked(
        self, n: int, generation: AsyncGenerator[Event, None], writing: _Writing, meter: Meter
    ) -> AsyncGenerator[AnswerEvent, None]:
        for choice in range(n):
            yield Opened(choice, writing.sources)
        async with closing(generation):
            async for event in generation:
                assert not isinstance(event, Started | Scored), "an engine starts once, and is given no answer"
                meter.hear(event)
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Text):
                    # A check may ask the embedder: others are not to wait for it.
                    said = await run_sync(writing.said, event) if writing.may_check(event) else writing.said(event)
                    if said is not None:
                        yield said
                else:
                    for closing_event in await run_sync(self._end, event, writing):
                        yield closing_event
        yield Used.of(meter.spent)

    def _end(self, event: Finished, writing: "_Writing") -> list[AnswerEvent]:
        choice, sources, checks, calls = event.choice, writing.sources, writing.checks, writing.calls
        reason: EndReason = event.reason
        if calls and calls[choice].is_named and reason == "stop":
            reason = "tool_calls"
        if sources is None:
            return [Closed(choice, reason, None, None)]
        began = perf_counter()
        tail, verdict = checks[choice].end() if checks else ("", Verdict("no_sources"))
        seconds = writing.check_s[choice] + perf_counter() - began
        self._metrics.grounded(verdict.status, seconds if checks else None)
        said: list[AnswerEvent] = [Said(choice, tail)] if tail else []
        if verdict.replaced and checks and isinstance(checks[choice], CitedStructure):
            said = [Refused(choice, tail)]
        return [*said, Closed(choice, "stop" if verdict.replaced else reason, sources, verdict)]
