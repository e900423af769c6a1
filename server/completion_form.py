"""How /v1/completions spells an answer: OpenAI's `text_completion`."""

import codecs
from collections.abc import Sequence
from itertools import chain
from typing import Self

from hrm_model.types import Spelled, TokenLogprob
from server.chat_form import ending
from server.events import Called, Closed, Opened, Recited, Refused, Said, Spoken
from server.wire import Json, text_of

_Named = tuple[bytes, float | None, dict[str, float] | None, int]  # a token, its likelihood, others', and its place
_COLUMNS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


class CompletionForm:
    """Spells the answers of one request; it counts characters, so that every token has its place in the text."""

    chunk_object = whole_object = "text_completion"

    def __init__(
        self, *, prompts: Sequence[Spelled], n: int, with_echo: bool, with_logprobs: bool, with_ids: bool
    ) -> None:
        """Begin.

        Args:
            prompts: all of them, where they are to be told, as an echo or in ids, or are to be gone on with: the first
                token of an answer may complete a character of theirs.
            n: answers to each prompt.
        """
        self._prompts, self._n = prompts, n
        self._with_echo, self._with_logprobs, self._with_ids = with_echo, with_logprobs, with_ids
        self._said: dict[int, int] = {}  # choice -> characters
        self._places: dict[int, _Places] = {}  # choice -> those of its answer's tokens
        self._of_prompt: dict[int, _Places] = {}

    def chunks(self, event: Spoken) -> list[Json]:
        """The choices that one event puts on the wire."""
        match event:
            case Opened(choice):
                return self._beginning(choice)
            case Said(choice, text, tokens) | Recited(choice, text, tokens):
                if choice not in self._places:
                    before = self._of_prompt.get(choice, _Places(0))
                    self._places[choice] = before.at(self._said.get(choice, 0))
                places = self._places[choice]
                named: list[_Named] = [
                    (token.token, token.logprob, _top(token), places.of(token.token)) for token in tokens
                ]
                ids = event.ids if isinstance(event, Said) else ()
                return [self._chunk(choice, text, named, ids=ids)]
            case Called() | Refused():
                raise AssertionError("this route knows neither functions nor sources")
            case Closed(choice, reason):
                return [self._chunk(choice, "", [], reason)]

    def folded(self, index: int, chunks: Sequence[Json]) -> Json:
        """A choice of a whole answer, made of all its chunks."""
        spelled = [chunk["logprobs"] for chunk in chunks if chunk["logprobs"] is not None]
        logprobs = (
            {name: list(chain.from_iterable(each[name] for each in spelled)) for name in _COLUMNS}
            if self._with_logprobs
            else None
        )
        ids = {
            "prompt_token_ids": chunks[0].get("prompt_token_ids"),
            "token_ids": list(chain.from_iterable(chunk.get("token_ids", ()) for chunk in chunks)),
        }
        return {
            "index": index,
            "text": "".join(chunk["text"] for chunk in chunks),
            "logprobs": logprobs,
            "finish_reason": ending(chunks),
            **(ids if self._with_ids else {}),
        }

    def _beginning(self, choice: int) -> list[Json]:
        if not self._prompts:
            return []
        prompt = self._prompts[choice // self._n]
        named = self._named(choice, prompt) if self._with_logprobs else []
        if not (self._with_echo or self._with_ids):
            return []
        chunk = self._chunk(choice, prompt.text, named) if self._with_echo else self._chunk(choice, "", [])
        return [{**chunk, "prompt_token_ids": list(prompt.ids)} if self._with_ids else chunk]

    def _named(self, choice: int, prompt: Spelled) -> list[_Named]:
        # A prompt is read in both directions, so that what a token's likelihood would be given had it in view already.
        # A question is read without the blanks around it.
        places = self._of_prompt[choice] = _Places(max(0, prompt.text.find(text_of(b"".join(prompt.tokens)))))
        return [(token, None, None, places.of(token)) for token in prompt.tokens]

    def _chunk(
        self,
        choice: int,
        text: str,
        tokens: Sequence[_Named],
        reason: str | None = None,
        *,
        ids: Sequence[int] = (),
    ) -> Json:
        begin = self._said.get(choice, 0)
        self._said[choice] = begin + len(text)
        columns = (
            [text_of(token) for token, _, _, _ in tokens],
            [logprob for _, logprob, _, _ in tokens],
            [top for _, _, top, _ in tokens],
            # A token without text may stand behind the last one that has some.
            [min(place, begin + len(text)) for _, _, _, place in tokens],
        )
        logprobs = dict(zip(_COLUMNS, columns, strict=True))
        chunk = {"index": choice, "text": text, "logprobs": logprobs if tokens else None, "finish_reason": reason}
        return {**chunk, "token_ids": list(ids)} if self._with_ids else chunk


class _Places:
    """Where tokens begin in a text that they make up; parts of one character begin where it does."""

    def __init__(self, begin: int) -> None:
        self._next = begin
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def at(self, begin: int) -> Self:
        """Go on there; with a character, too, that is not complete."""
        self._next = begin
        return self

    def of(self, token: bytes) -> int:
        """The place of the next token."""
        # What it does not go on with ends before it.
        broken = token and self._utf8.getstate()[0] and not 0x80 <= token[0] < 0xC0
        place = self._next + bool(broken)
        self._next += len(self._utf8.decode(token))
        return place


def _top(token: TokenLogprob) -> dict[str, float]:
    """The likeliest and the drawn one. Where two tokens have one spelling, the likelier has it."""
    found: dict[str, float] = {}
    for other, logprob in (*token.top, (token.token, token.logprob)):
        found.setdefault(text_of(other), logprob)
    return found
