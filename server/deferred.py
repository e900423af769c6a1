"""Engine and store while they are loading: HTTP listens from the first moment, and they say no until they are there."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from typing import Generic, TypeVar

from hrm_model.types import Event, Limits, Load, Prompt, Sampling, Spelled
from retrieval.erasure import Erasure, Purge
from retrieval.facts import StoreFacts
from retrieval.types import Filter, Hits, Reader, Store
from server.errors import NotReady
from server.ports import Engine, Retriever, Speller
from server.store_ports import Library

T = TypeVar("T")


class DeferredEngine:
    """Stands where the engine will stand; passes everything on once there is one. See `server.ports.Engine`."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def supply(self, engine: Engine) -> None:
        """Put the engine in place."""
        self._engine = engine

    @property
    def limits(self) -> Limits:
        return _there(self._engine).limits

    def generate(
        self, prompt: Prompt, sampling: Sampling, *, n: int = 1, partition: str | None = None
    ) -> AsyncGenerator[Event, None]:
        return _there(self._engine).generate(prompt, sampling, n=n, partition=partition)

    def count(self, texts: Sequence[str]) -> list[int]:
        return _there(self._engine).count(texts)

    def least(self, text: str) -> int:
        return _there(self._engine).least(text)

    def longest(self, prompt_tokens: int, n: int, *, given: int = 0) -> int:
        return _there(self._engine).longest(prompt_tokens, n, given=given)

    def load(self) -> Load:
        return Load() if self._engine is None else self._engine.load()

    async def purge(self, partition: str | None = None) -> None:
        if self._engine is not None:
            await self._engine.purge(partition)

    async def drain(self, timeout_s: float) -> None:
        if self._engine is not None:
            await self._engine.drain(timeout_s)


class DeferredSpeller:
    """The same for reading prompts back; see `server.ports.Speller`."""

    def __init__(self) -> None:
        self._speller: Speller | None = None

    def supply(self, speller: Speller) -> None:
        """Put it in place."""
        self._speller = speller

    def spelled(self, prompt: Prompt) -> Spelled:
        return _there(self._speller).spelled(prompt)


class DeferredLibrary:
    """The same for the store; see `server.store_ports.Library` and `server.ports.Retriever`."""

    def __init__(self) -> None:
        self._library: Library | None = None
        self._retriever: Retriever | None = None

    def supply(self, library: Library, retriever: Retriever) -> None:
        """Put the store and its search in place."""
        self._library, self._retriever = library, retriever

    async def search(
        self,
        query: str,
        *,
        stores: Sequence[str],
        k: int,
        reader: Reader,
        filters: Filter | None = None,
        score_threshold: float = 0.0,
        weights: tuple[float, float] | None = None,
        as_of: int | None = None,
    ) -> Hits:
        retriever = _there(self._retriever)
        return await retriever.search(
            query,
            stores=stores,
            k=k,
            reader=reader,
            filters=filters,
            score_threshold=score_threshold,
            weights=weights,
            as_of=as_of,
        )

    async def stores(self, reader: Reader) -> list[Store]:
        return await _there(self._library).stores(reader)

    async def store(self, name_or_id: str, reader: Reader) -> Store:
        return await _there(self._library).store(name_or_id, reader)

    async def text(self, file_id: str, reader: Reader) -> str:
        return await _there(self._library).text(file_id, reader)

    async def delete(self, file_id: str, reader: Reader) -> Erasure:
        return await _there(self._library).delete(file_id, reader)

    async def erasures(self) -> list[Erasure]:
        return await _there(self._library).erasures()

    async def erasures_behind(self, mark: int) -> tuple[list[Erasure], int]:
        return await _there(self._library).erasures_behind(mark)

    async def erasure_of(self, file_id: str) -> Erasure | None:
        return await _there(self._library).erasure_of(file_id)

    async def purge(
        self, known: Callable[[], Iterable[str | bytes]] = tuple, besides: Collection[str] = frozenset()
    ) -> Purge:
        return await _there(self._library).purge(known, besides)

    async def settle(self, erasure: Erasure) -> None:
        await _there(self._library).settle(erasure)

    async def revoked(self) -> int:
        return await _there(self._library).revoked()

    def facts(self) -> StoreFacts:
        return _there(self._library).facts()


class Deferred(Generic[T]):
    """The same for parts that are asked for at each use rather than wrapped."""

    def __init__(self) -> None:
        self._part: T | None = None

    def supply(self, part: T) -> None:
        """Put it in place."""
        self._part = part

    def __call__(self) -> T:
        return _there(self._part)


def _there(part: T | None) -> T:
    if part is None:
        raise NotReady("The server is still loading; retry shortly.")
    return part
