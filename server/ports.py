"""What the server needs from the other packages, in the server's own words.

The docstrings are the contract. tests/contract runs that of Engine, Speller and Retriever against the fake and
the real things alike; the others are tested as they are.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hrm_model.types import Event, Limits, Load, Prompt, Sampling, Spelled
from retrieval.claim import Claim
from retrieval.types import (
    Filter,
    Hits,
    Reader,
)


class Engine(Protocol):
    """Turns one prompt into a stream of text."""

    @property
    def limits(self) -> Limits:
        """What a request may ask for; constant for the engine's life."""
        ...

    def generate(
        self, prompt: Prompt, sampling: Sampling, *, n: int = 1, partition: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield `Started`, then per choice any number of `Text` and exactly one of `Finished` or `Failed`.

        Closing the generator early cancels all its choices and frees their pages.

        Args:
            partition: whose prompts may be found again instead of being read, and by whom this one may: by nobody
                else, as the time that it saves would tell them of it. None: nothing is found or kept.

        Raises:
            RequestRefused: before `Started` (too long, queue full, could never fit, invalid).
            EngineClosed: before `Started`, while draining.
            EngineError: before `Started`; after it, failures are `Failed` events.
        """
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as plain text, without control tokens. May be called from any thread."""
        ...

    def least(self, text: str) -> int:
        """Tokens that `text` has at the very least: no more than `count` says, told at once from its length alone.

        May be called from any thread.
        """
        ...

    def longest(self, prompt_tokens: int, n: int, *, given: int = 0) -> int:
        """Tokens that each of n answers may have where `max_tokens` does not say; below 1, none can be given.

        The default, or what context and cache leave: a request that says nothing is not refused for what it reserves.

        Args:
            given: tokens that each answer begins with, which `prompt_tokens` does not count.
        """
        ...

    def load(self) -> Load:
        """A snapshot of the work in hand."""
        ...

    async def purge(self, partition: str | None = None) -> None:
        """Forget the prompts kept for a partition, or all, and overwrite what ended answers have left in the cache.

        When this returns, it is done; a prompt that is being read in pages of theirs is waited for. Answers that are
        being written, and requests that wait, are not disturbed; their prompts are not kept, and what they leave is
        overwritten at their end.

        Raises:
            EngineError: it failed, and so may the engine.
        """
        ...

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, let the running ones end, and cancel what is left after `timeout_s`."""
        ...


class Audit(Protocol):
    """Keeps a record of what happened."""

    def append(self, record: Mapping[str, Any], texts: Mapping[str, str], *, note: int | None = None) -> object:
        """Add a record, and of each text a hash that is salted for this record alone. May take a disk's time.

        Args:
            note: what `begin` returned, which the record takes the place of.

        Raises:
            AuditUnavailable: it could not be written.
        """
        ...

    def begin(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> int:
        """Note down what becomes the record if the process ends before it adds one. May take a disk's time.

        Raises:
            AuditUnavailable: it could not be written.
        """
        ...


class Speller(Protocol):
    """Reads prompts back as the engine's model reads them."""

    def spelled(self, prompt: Prompt) -> Spelled:
        """The prompt's text and that of each token; as many tokens as `Started` will count.

        May be called from any thread.

        Raises:
            InvalidPrompt: the engine would refuse it for the same reason.
        """
        ...


class Retriever(Protocol):
    """Finds the passages that bear on a question."""

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
        """Return at most `k` passages that `reader` may read, best first; an empty result is not an error.

        `stores` are ids or names; none given finds nothing. With `filters`, only passages of documents whose
        attributes match are found, `k` of them wherever there are as many. With `as_of`, documents that came after
        that generation are as if they had not come yet; what was removed since stays removed. `weights` are how much
        meaning and wording count in a score, relative to each other; without them, the retriever has its own.

        Raises:
            StoreNotFound: a store does not exist, or `reader` may not read it.
            RetrievalError: the search could not be made.
        """
        ...


class Embedder(Protocol):
    """The store's embedding model. May be used from any thread."""

    @property
    def name(self) -> str:
        """As clients name it."""
        ...

    @property
    def dims(self) -> int:
        """Numbers in a vector."""
        ...

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, the model's own markers left out."""
        ...

    def embed_ids(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """(N, dims) float32, each row of length 1."""
        ...

    def entailed(self, claims: Sequence[Claim]) -> list[float]:
        """How likely it is, in 0..1, that each source says what the answer beside it says."""
        ...
