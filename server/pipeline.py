"""A question's one-way trip: plan, search, prompt, engine, check."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from anyio.to_thread import run_sync

from hrm_model.types import Event, Failed, Finished, Started, Text
from retrieval.errors import RetrievalError, StoreNotFound
from retrieval.types import Hits
from server.deps import Services
from server.errors import UnknownStore
from server.events import AnswerEvent, Closable, Closed, Opened, Refused, Said, Sources, Used, closing
from server.grounding.cite import CitedText, Verdict
from server.grounding.structure import CitedStructure
from server.grounding.support import Sources as CheckedSources
from server.identity import Caller
from server.metrics import Metrics
from server.plan import Brought, Plan, Search, plan
from server.prompt import Conversation, conversation, pack, refuse_hopeless
from server.query import rewrite_query
from server.schemas.chat import ChatRequest
from server.shape import Shape, started

Check = CitedText | CitedStructure


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer under way. Closing it frees the engine, whether or not anybody has begun to read."""

    events: AsyncGenerator[AnswerEvent, None]
    engine: Closable | None

    async def aclose(self) -> None:
        """Stop."""
        await self.events.aclose()
        if self.engine is not None:
            await self.engine.aclose()


class Pipeline:
    """Holds the collaborators and no state of its own, so requests cannot meet in it."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._engine = services.engine
        self._retriever = services.retriever
        self._model = services.model
        self._policy = services.policy
        self._metrics = metrics

    async def answer(self, request: ChatRequest, caller: Caller) -> Answer:
        """Start answering, and return once the engine has taken the request.

        Everything that can be refused is refused here, while the HTTP status is still ours to choose.

        Raises:
            InvalidRequest, UnknownModel, UnknownStore, GroundedOnly, RequestRefused, EngineError, RetrievalError:
                see server/errors.py for their wire forms.
        """
        todo = plan(request, caller, self._model, self._policy)
        talk = conversation(request.messages)
        await run_sync(refuse_hopeless, talk, self._engine)
        sources = await self._look_up(todo, talk, caller)
        n, sampling, shape = request.n or 1, request.sampling(), todo.shape
        if sources is not None and not sources.passages and todo.grounding != "off":
            return Answer(self._nothing_found(sources, n, shape), None)
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
        )
        packed = await run_sync(packing)  # counting a long conversation takes long enough to be felt by others
        if sources is not None:
            sources = replace(sources, passages=packed.passages, truncated=packed.truncated)
            self._metrics.packed(len(packed.passages))
        events = self._engine.generate(packed.prompt, sampling, n=n, partition=caller.partition())
        generation = self._metrics.observed(events, n)
        first = await started(generation, shape)  # an early failure raises here and not in mid-stream
        assert isinstance(first, Started), "an engine begins with Started"
        checks = self._checks(todo, talk, sources, n)
        return Answer(self._checked(first, n, generation, sources, checks), generation)

    async def _look_up(self, todo: Plan, talk: Conversation, caller: Caller) -> Sources | None:
        match todo.lookup:
            case None:
                return None
            case Brought(passages):
                return Sources(passages, (), len(passages), truncated=False, generation=None)
            case Search() as search:
                query = rewrite_query(talk.question, talk.earlier_questions)
                hits = await self._search(query, search, caller)
                return Sources(hits.passages, (query,), len(hits.passages), truncated=False, generation=hits.generation)

    async def _search(self, query: str, search: Search, caller: Caller) -> Hits:
        began = perf_counter()
        try:
            hits = await self._retriever.search(
                query,
                stores=search.stores,
                k=search.k,
                reader=caller.reader(),
                filters=search.filters,
                score_threshold=search.score_threshold,
            )
        except StoreNotFound as error:
            raise UnknownStore(error.store, search.param) from error
        except RetrievalError:
            self._metrics.search_failed()
            raise
        self._metrics.searched(perf_counter() - began, len(hits.passages))
        return hits

    def _checks(self, todo: Plan, talk: Conversation, sources: Sources | None, n: int) -> list[Check] | None:
        if sources is None or not sources.passages:
            return None
        texts = [passage.text for passage in sources.passages]
        titles = [passage.title for passage in sources.passages]
        checked = CheckedSources(texts, talk.question, titles)
        mode, abstention, shape = todo.grounding, self._policy.abstention, todo.shape
        if shape is None:
            return [CitedText(checked, mode=mode, abstention=abstention) for _ in range(n)]
        return [CitedStructure(checked, mode=mode, abstention=abstention, is_json=shape.is_json) for _ in range(n)]

    async def _nothing_found(self, sources: Sources, n: int, shape: Shape | None) -> AsyncGenerator[AnswerEvent, None]:
        for choice in range(n):
            yield Opened(choice, sources)
            yield Refused(choice, self._policy.abstention) if shape else Said(choice, self._policy.abstention)
            self._metrics.grounded("no_sources")
            yield Closed(choice, "stop", sources, Verdict("no_sources", replaced=True))
        yield Used(prompt_tokens=0, completion_tokens=0)

    async def _checked(
        self,
        started: Started,
        n: int,
        generation: AsyncGenerator[Event, None],
        sources: Sources | None,
        checks: list[Check] | None,
    ) -> AsyncGenerator[AnswerEvent, None]:
        completion_tokens = 0
        for choice in range(n):
            yield Opened(choice, sources)
        async with closing(generation):
            async for event in generation:
                assert not isinstance(event, Started), "an engine starts once"
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Text):
                    text = checks[event.choice].grow(event.text) if checks else event.text
                    if text or event.logprobs:
                        yield Said(event.choice, text, event.logprobs)
                else:
                    completion_tokens += event.counts.completion_tokens
                    for closing_event in self._end(event, sources, checks):
                        yield closing_event
        yield Used(started.prompt_tokens, completion_tokens, started.cached_tokens)

    def _end(self, event: Finished, sources: Sources | None, checks: list[Check] | None) -> list[AnswerEvent]:
        if sources is None:
            return [Closed(event.choice, event.reason, None, None)]
        tail, verdict = checks[event.choice].end() if checks else ("", Verdict("no_sources"))
        self._metrics.grounded(verdict.status)
        said: list[AnswerEvent] = [Said(event.choice, tail)] if tail else []
        if verdict.replaced and checks and isinstance(checks[event.choice], CitedStructure):
            said = [Refused(event.choice, tail)]
        return [*said, Closed(event.choice, "stop" if verdict.replaced else event.reason, sources, verdict)]
