"""How /v1/completions spells an answer: OpenAI's `text_completion`."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from hrm_model.types import Spelled, TokenLogprob
from server.chat_form import ending
from server.events import Called, Closed, Opened, Refused, Said, Spoken

Json = dict[str, Any]


class CompletionForm:
    """Spells the answers of one request; it counts characters, so that every token has its place in the text."""

    chunk_object = whole_object = "text_completion"

    def __init__(self, *, echoes: Sequence[Spelled], n: int, with_logprobs: bool) -> None:
        """Begin.

        Args:
            echoes: one for each prompt, or none at all.
            n: answers to each prompt.
        """
        self._echoes, self._n, self._with_logprobs = echoes, n, with_logprobs
        self._said: dict[int, int] = {}  # choice -> characters

    def chunks(self, event: Spoken) -> list[Json]:
        """The choices that one event puts on the wire."""
        match event:
            case Opened(choice):
                return [self._echo(choice)] if self._echoes else []
            case Said(choice, text, tokens):
                named = [(token.token, token.logprob, _top(token)) for token in tokens]
                return [self._chunk(choice, text, named)]
            case Called() | Refused():
                raise AssertionError("this route knows neither functions nor sources")
            case Closed(choice, reason):
                return [self._chunk(choice, "", [], reason)]

    def folded(self, index: int, chunks: Sequence[Json]) -> Json:
        """A choice of a whole answer, made of all its chunks."""
        spelled = [chunk["logprobs"] for chunk in chunks if chunk["logprobs"] is not None]
        logprobs = (
            {name: list(chain.from_iterable(each[name] for each in spelled)) for name in spelled[0]}
            if spelled
            else None
        )
        return {
            "index": index,
            "text": "".join(chunk["text"] for chunk in chunks),
            "logprobs": logprobs,
            "finish_reason": ending(chunks),
        }

    def _echo(self, choice: int) -> Json:
        echo = self._echoes[choice // self._n]
        # A prompt is read in both directions, so that what a token's likelihood would be given had it in view already.
        named = [(token, None, None) for token in echo.tokens] if self._with_logprobs else []
        return self._chunk(choice, echo.text, named)

    def _chunk(
        self,
        choice: int,
        text: str,
        tokens: Sequence[tuple[str, float | None, dict[str, float] | None]],
        reason: str | None = None,
    ) -> Json:
        begin = self._said.get(choice, 0)
        self._said[choice] = begin + len(text)
        # Parts of one character, and what a stop string has cut off, are tokens without a place of their own.
        offsets, at = [], begin
        for token, _, _ in tokens:
            offsets.append(min(at, begin + len(text)))
            at += len(token)
        logprobs = {
            "tokens": [token for token, _, _ in tokens],
            "token_logprobs": [logprob for _, logprob, _ in tokens],
            "top_logprobs": [top for _, _, top in tokens],
            "text_offset": offsets,
        }
        return {"index": choice, "text": text, "logprobs": logprobs if tokens else None, "finish_reason": reason}


def _top(token: TokenLogprob) -> dict[str, float]:
    """The likeliest and the drawn one. Where two tokens have one spelling, the likelier has it."""
    found: dict[str, float] = {}
    for text, logprob in (*token.top, (token.token, token.logprob)):
        found.setdefault(text, logprob)
    return found
