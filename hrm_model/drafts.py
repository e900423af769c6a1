"""Guesses at an answer's next tokens, taken from its prompt: grounded answers quote. Plain Python, no tensors.

A guess costs little to check, as a step reads many tokens of one sequence nearly as fast as one, and it cannot change
an answer: the runner keeps of it what equals the draws. So all that is decided here is what is worth checking.
Source: the lookup of n-grams in the prompt is Saxena's (Prompt Lookup Decoding, 2023).
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice

_LONGEST_MATCH = 8  # tokens compared; beyond that, the latest place in the prompt wins
_FIRST = 4  # tokens of the first guess: an answer may be a name of two, and each wrong one costs a part of a step
_HOPE = 0.6  # share of guessed tokens that are expected to be right, before anything is known
_MEMORY = 0.75  # of that share, from one guess to the next
_WORTH = 0.2  # below this share guessing pauses
_PAUSE = 32  # answer tokens until it is tried again
_MOST_PLACES = 256  # looked at for one guess, which takes about 0.1 ms; the latest ones


class Indexed:
    """A prompt, and where each token stands in it: for all choices of a request, made when the first one guesses."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens = tokens
        self._places: dict[int, list[int]] | None = None

    def places(self, token: int) -> Sequence[int]:
        """Where a token stands, in order."""
        if self._places is None:
            self._places = defaultdict(list)
            for place, one in enumerate(self.tokens):
                self._places[one].append(place)
        return self._places.get(token, ())


class Drafter:
    """The guesses for one sequence; they double while they are right, shrink when they are not, and pause."""

    def __init__(self, prompt: Indexed, longest: int) -> None:
        """Begin without experience.

        Args:
            longest: tokens in one guess; 0 never guesses.
        """
        self._prompt, self._longest = prompt, longest
        self._next = min(_FIRST, longest)
        self._share = _HOPE
        self._resumes_at = 0

    def propose(self, answer: Sequence[int], room: int) -> list[int]:
        """Guess what follows `answer`, at most `room` tokens; empty when there is nothing worth a guess."""
        longest = min(room, self._next)
        if longest < 1 or not answer or len(answer) < self._resumes_at:
            return []
        places = self._prompt.places(answer[-1])
        best, matched = 0, 0
        for place in islice(reversed(places), _MOST_PLACES):
            if (common := self._matched(answer, place)) > matched:
                best, matched = place, common
            if matched == min(len(answer), _LONGEST_MATCH):
                break  # none before it can have more in common
        # One token in common says little, unless the prompt has it only once.
        if matched < 1 or (matched == 1 and len(places) > 1):
            return []
        return list(self._prompt.tokens[best + 1 : best + 1 + longest])

    def learn(self, drafted: int, accepted: int, answered: int) -> None:
        """Take note of how a guess went, the answer being `answered` tokens long by then."""
        self._next = min(2 * self._next, self._longest) if accepted == drafted else min(self._next, accepted + 1)
        self._share = _MEMORY * self._share + (1 - _MEMORY) * accepted / drafted
        if self._share < _WORTH:
            self._share, self._resumes_at = 2 * _WORTH, answered + _PAUSE

    def _matched(self, answer: Sequence[int], place: int) -> int:
        """How many of the answer's last tokens stand before `place`, itself included."""
        most = min(len(answer), place + 1, _LONGEST_MATCH)
        for length in range(1, most):
            if self._prompt.tokens[place - length] != answer[-1 - length]:
                return length
        return most
