"""Ids of one answer to text: whole characters, stop strings held back, and the reason it ended."""

from collections.abc import Collection, Sequence

from hrm_model.tokenizer import Tokenizer
from hrm_model.types import FinishReason


class Answer:
    """Assembles the text of one choice, token by token."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        end_tokens: Collection[int],
        stop: tuple[str, ...],
        max_tokens: int,
        *,
        min_tokens: int = 0,
        given: Sequence[int] = (),
        prompt: Sequence[int] = (),
    ) -> None:
        """Begin an answer.

        Args:
            end_tokens: end the answer and have no text.
            min_tokens: a stop string that is complete within so many tokens does not count.
            given: tokens that it follows. They may end within a character, which its first token completes, and within
                a stop string, which then ends it; what is complete in them ends nothing.
            prompt: the last tokens before those, in which their first character may begin.
        """
        self._decoder = tokenizer.decoder()
        for token in prompt:
            self._decoder.push(token)
        before = "".join(map(self._decoder.push, given))
        self._end_tokens = frozenset(end_tokens)
        self._stop, self._max_tokens, self._min_tokens = stop, max_tokens, min_tokens
        # Of what was given as much as a stop string may begin in; it is not said.
        self._held = before[len(before) - min(len(before), max(map(len, stop), default=1) - 1) :]
        self._given = self._excused = len(self._held)  # in so many characters of what is held no stop string may end
        self._begins: list[int] = []  # where in it each token begins that began after what has been said
        self.tokens = 0
        self.reason: FinishReason | None = None

    @property
    def unsaid(self) -> int:
        """Of the latest tokens, those that nothing has been said of; once it has ended, those that are cut off."""
        return len(self._begins)

    def push(self, token: int, *, is_last: bool = False) -> str:
        """Take one token in and return the text that is now certain; sets `reason` when the answer has ended.

        Args:
            is_last: nothing may follow it, so that the answer ends as it would by a closing token.
        """
        self.tokens += 1
        if token in self._end_tokens:
            return self._end("stop", self._held + self._decoder.flush())
        self._begins.append(len(self._held))
        self._held += self._decoder.push(token)
        if self.tokens <= self._min_tokens:
            self._excused = len(self._held)
        elif found := [at for at in map(self._find, self._stop) if at >= 0]:
            return self._end("stop", self._held[: min(found)], is_cut=True)
        if is_last:
            return self._end("stop", self._held + self._decoder.flush())
        if self.tokens >= self._max_tokens:
            return self._end("length", self._held + self._decoder.flush())
        certain = len(self._held) - _overlap(self._held, self._stop)
        text, self._held = self._held[:certain], self._held[certain:]
        if certain:
            self._begins = [begin - certain for begin in self._begins if begin >= certain]
        self._excused = max(0, self._excused - certain)
        text, self._given = text[self._given :], max(0, self._given - certain)
        return text

    def close(self) -> str:
        """End it where it is, no more tokens being wanted; return what was held."""
        return self._end("length", self._held + self._decoder.flush())

    def _find(self, stop: str) -> int:
        return self._held.find(stop, max(0, self._excused - len(stop) + 1))

    def _end(self, reason: FinishReason, text: str, *, is_cut: bool = False) -> str:
        self.reason, self._held = reason, ""
        self._begins = [begin for begin in self._begins if is_cut and begin >= len(text)]
        text = text[self._given :]
        return text


def _overlap(text: str, stops: tuple[str, ...]) -> int:
    """Characters at the end of `text` that may be the beginning of a stop string."""
    longest = max((len(stop) for stop in stops), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return length
    return 0
