"""Ids of one answer to text: whole characters, stop strings held back, and the reason it ended."""

from hrm_model.tokenizer import Tokenizer
from hrm_model.types import FinishReason


class Answer:
    """Assembles the text of one choice, token by token."""

    def __init__(self, tokenizer: Tokenizer, end_token: int, stop: tuple[str, ...], max_tokens: int) -> None:
        self._decoder = tokenizer.decoder()
        self._end_token, self._stop, self._max_tokens = end_token, stop, max_tokens
        self._held = ""
        self.tokens = 0
        self.reason: FinishReason | None = None

    def push(self, token: int) -> str:
        """Take one token in and return the text that is now certain; sets `reason` when the answer has ended."""
        self.tokens += 1
        if token == self._end_token:
            return self._end("stop", self._held + self._decoder.flush())
        self._held += self._decoder.push(token)
        found = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if found:
            return self._end("stop", self._held[: min(found)])
        if self.tokens >= self._max_tokens:
            return self._end("length", self._held + self._decoder.flush())
        certain = len(self._held) - _overlap(self._held, self._stop)
        text, self._held = self._held[:certain], self._held[certain:]
        return text

    def _end(self, reason: FinishReason, text: str) -> str:
        self.reason, self._held = reason, ""
        return text


def _overlap(text: str, stops: tuple[str, ...]) -> int:
    """Characters at the end of `text` that may be the beginning of a stop string."""
    longest = max((len(stop) for stop in stops), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return length
    return 0
