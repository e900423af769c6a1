"""How an answer in JSON ends what it is writing, with a model that was taught to end and not to close.

A model trained on prose ends a value as it would the answer: `27 working days` and then its closing token, which cannot
stand within JSON. What it gives to that token goes to those that end the value instead; otherwise it would go on with
whatever it likes least little, until `max_tokens`. It is a function of the row and of the text so far alone.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hrm_model.template import END_ANSWER
from hrm_model.tokenizer import Tokenizer

Mask = NDArray[np.bool_]  # (V,): some of the tokenizer's tokens


@dataclass(frozen=True, slots=True)
class Allowed:
    """The tokens that may come next, and who inherits from those that may not.

    Attributes:
        open: all that may come next.
        end: the closing token.
        enders: the likeliest of them gets no less than the closing token has; None: nobody inherits from it.
        leavers: the likeliest of them gets no less than any token has that may not come next; None: nobody does.
        leaning: tokens, and what is added to their logits; None: nothing is.
    """

    open: Mask
    end: int
    enders: Mask | None = None
    leavers: Mask | None = None
    leaning: tuple[list[int], float] | None = None


class Vocabulary:
    """A tokenizer's tokens by what they begin with."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Look at every token once."""
        self.end = tokenizer.control(END_ANSWER)
        self._spelled = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
        self.ordinary = np.array([bool(spelled) for spelled in self._spelled])
        self._tokens: dict[bytes, list[int]] = {}
        for token in np.flatnonzero(self.ordinary).tolist():
            self._tokens.setdefault(self._spelled[token], []).append(token)
        self.longest = max(map(len, self._spelled))  # in bytes
        self.ordinary[self.end] = True
        self.quotes = self._begin_with(b'"')
        self.brackets = self._begin_with(b"]}")
        self.figures = self._begin_with(b"0123456789.eE")

    def spelled(self, token: int) -> bytes:
        """A token's bytes."""
        return self._spelled[token]

    def spelling(self, said: bytes) -> list[int]:
        """The tokens of exactly these bytes; often none."""
        return self._tokens.get(said, [])

    def _begin_with(self, characters: bytes) -> Mask:
        return np.array([spelled[:1] in characters if spelled else False for spelled in self._spelled])


@dataclass(frozen=True, slots=True)
class JsonPlace:
    """Where a text stands in JSON, as far as endings are concerned. `has_begun` is False in front of a first line."""

    has_begun: bool = True
    in_string: bool = False
    is_escaped: bool = False
    is_empty: bool = False  # a string that has only been opened; a model that ends there has not said what it means
    after_digit: bool = False

    def after(self, said: bytes) -> "JsonPlace":
        """The place after so many more bytes."""
        if not self.has_begun:
            _, line_break, rest = said.partition(b"\n")
            return replace(self, has_begun=True).after(rest) if line_break else self
        if not said:
            return self
        in_string, is_escaped, is_empty = self.in_string, self.is_escaped, self.is_empty
        for byte in said:
            is_empty = False
            if is_escaped:
                is_escaped = False
            elif byte == ord('"'):
                in_string = is_empty = not in_string
            elif byte == ord("\\"):
                is_escaped = in_string
        return JsonPlace(True, in_string, is_escaped, is_empty, said[-1:].isdigit() and not in_string)

    def allowed(self, mask: Mask, words: Vocabulary) -> Allowed:
        """Who inherits here, `mask` being what may come next."""
        enders = leavers = None
        if self.has_begun and self.after_digit:
            # `27 working days` leaves the number as well, at its second word.
            leavers = _some(mask & ~words.figures)
            enders = _some(mask & words.brackets)
        elif self.has_begun and not self.is_escaped and not self.is_empty:
            enders = _some(mask & (words.quotes if self.in_string else words.brackets))
        return Allowed(mask, words.end, None if mask[words.end] else enders, leavers)


def _some(mask: Mask) -> Mask | None:
    return mask if mask.any() else None
