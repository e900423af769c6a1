"""An engine that is still loading: it lets HTTP listen from the first moment, and says no until it is there."""

from collections.abc import AsyncGenerator, Sequence

from hrm_model.types import Event, Limits, Load, Prompt, Sampling
from server.errors import NotReady
from server.ports import Engine


class DeferredEngine:
    """Stands where the engine will stand, and passes everything on once it is `supply`-ed."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def supply(self, engine: Engine) -> None:
        """Put the engine in place."""
        self._engine = engine

    @property
    def limits(self) -> Limits:
        """See `server.ports.Engine`; NotReady until then, as for everything but `load` and `drain`."""
        return self._loaded().limits

    def generate(self, prompt: Prompt, sampling: Sampling, *, n: int = 1) -> AsyncGenerator[Event, None]:
        return self._loaded().generate(prompt, sampling, n=n)

    def count(self, texts: Sequence[str]) -> list[int]:
        return self._loaded().count(texts)

    def load(self) -> Load:
        return Load() if self._engine is None else self._engine.load()

    async def drain(self, timeout_s: float) -> None:
        if self._engine is not None:
            await self._engine.drain(timeout_s)

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise NotReady("The model is still loading; retry shortly.")
        return self._engine
