"""One answer's place in its grammar: which tokens may come next, and how far a draft keeps to it."""

from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher

from hrm_model.endings import Allowed, JsonPlace, Mask, Vocabulary
from hrm_model.errors import GrammarFault

COMPLETE = ("NoExtension", "NoExtensionBias", "EndOfSentence")


class Matching:
    """Follows one answer.

    What a matcher has looked at counts against its limits, and stays counted: neither a copy nor a rollback gives it
    back. So each answer has a matcher that sees its own tokens alone, one after the other, and drafts are tried on
    another one, the scout. Where the scout has reached a limit, the answer goes on without drafts.
    """

    def __init__(self, matcher: LLMatcher, scout: LLMatcher, words: Vocabulary, place: JsonPlace | None) -> None:
        """Begin at the grammar's start.

        Args:
            matcher: nobody else's, nor a copy of one that is.
            scout: at the same place; may share its limits with the scouts of others.
            words: no grammar reaches others than its ordinary tokens.
            place: where JSON begins; None: the answer is none.
        """
        self._matcher, self._words, self._place = matcher, words, place
        self._scout: LLMatcher | None = scout
        self._seen: Allowed | None = None  # what may come next, once that was asked
        self._tried: list[tuple[int, Allowed]] = []  # a draft's tokens, and what may come after each

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the closing token may follow."""
        return _is_complete(self._matcher)

    @property
    def fault(self) -> GrammarFault | None:
        """Why no token may follow, where that is so."""
        said = _fault(self._matcher)
        return GrammarFault(f"the grammar could not be followed: {said}") if said else None

    def accept(self, token: int) -> None:
        """Take note of the answer's next token."""
        self._here()  # a place that was only drafted counts as well, or a fault would come at another token
        self._matcher.consume_token(token)
        if self._scout is not None and not self._scout.consume_token(token):
            self._scout = None
        self._place = self._after(self._place, token)
        self._seen, self._tried = None, []

    def allowed(self, draft: Sequence[int]) -> list[Allowed | None]:
        """What may come next, and what after each token of a draft.

        Returns:
            One more than the draft is long; None after what is not `fitting`. No token at all may follow where the
            work for one token has exceeded its limit: `fault` has the reason.
        """
        here = self._here()
        fits = len(self.fitting(draft))
        return [here, *(after for _, after in self._tried[:fits]), *[None] * (len(draft) - fits)]

    def fitting(self, draft: Sequence[int]) -> list[int]:
        """The beginning of a draft that the grammar allows, as far as that could be tried."""
        if [token for token, _ in self._tried[: len(draft)]] != list(draft):
            self._try(draft)
        return [token for token, _ in self._tried[: len(draft)]]

    def forced(self, most: int) -> list[int]:
        """At most so many tokens that spell what has to follow, as the tokenizer would; often none."""
        tokens: list[int] = self._scout.compute_ff_tokens() if self._scout is not None else []
        return self.fitting(tokens[:most])

    def _here(self) -> Allowed:
        if self._seen is None:
            self._seen = self._mask(self._matcher, self._place)
        return self._seen

    def _try(self, draft: Sequence[int]) -> None:
        """Let the scout go along a draft and come back."""
        scout, place, here = self._scout, self._place, self._here()
        self._tried = []
        if scout is None:
            return
        for token in draft:
            if not here.open[token] or _is_complete(scout) or not scout.consume_token(token):
                break
            place = self._after(place, token)
            here = self._mask(scout, place)
            if _fault(scout):
                break
            self._tried.append((token, here))
        if _fault(scout) or (self._tried and not scout.rollback(len(self._tried))):
            self._scout = None

    def _mask(self, matcher: LLMatcher, place: JsonPlace | None) -> Allowed:
        ordinary = self._words.ordinary
        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        # After an error the library allows the closing token, and a broken answer would look like a whole one.
        if _fault(matcher):
            return Allowed(np.zeros_like(ordinary), self._words.end)
        mask: Mask = np.unpackbits(bits, bitorder="little", count=len(ordinary)).view(np.bool_) & ordinary
        return Allowed(mask, self._words.end) if place is None else place.allowed(mask, self._words)

    def _after(self, place: JsonPlace | None, token: int) -> JsonPlace | None:
        return place.after(self._words.spelled(token)) if place is not None else None


def said(error: str) -> str:
    """The sentence of a report over several lines that says what is wrong."""
    lines = [line.strip() for line in error.splitlines()]
    found = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), next(iter(lines), ""))
    return found[:300]


def _is_complete(matcher: LLMatcher) -> bool:
    return not matcher.is_error() and matcher.stop_reason() in COMPLETE


def _fault(matcher: LLMatcher) -> str:
    """Why a matcher goes no further; empty where it does, or is complete."""
    if matcher.is_error():
        return said(matcher.get_error()) or "an error without words"
    reason = matcher.stop_reason()
    return "" if reason == "NotStopped" or reason in COMPLETE else reason
