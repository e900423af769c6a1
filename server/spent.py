"""What a request has taken so far: what limits, record, log and spans read, however it ends."""

from collections import defaultdict
from dataclasses import dataclass, field

from hrm_model.types import Event, Failed, Finished, Started, Text


@dataclass(slots=True)
class Spent:
    """Tokens, of all prompts and choices together."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    _said: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))

    @property
    def total(self) -> int:
        """Of prompts and answers."""
        return self.prompt + self.completion

    def hear(self, event: Event, generation: int = 0) -> None:
        """Count what an engine's event tells of; `generation` is the number of its prompt."""
        match event:
            case Started():
                self.prompt += event.prompt_tokens
                self.cached += event.cached_tokens
            case Text():
                self._said[generation, event.choice] += event.tokens
                self.completion += event.tokens
            case Finished():
                # The closing token has no text.
                self.completion += event.counts.completion_tokens - self._said[generation, event.choice]
            case Failed():
                pass
