"""Is a short answer an answer to what was asked? "250 euros" stands beside an excess, and the limit was asked for."""

from collections.abc import Callable, Sequence, Set
from itertools import pairwise

from server.grounding.bounds import bounds_of
from server.grounding.items import (
    belongs_to_another,
    is_in_another_clause,
    is_there,
    is_under_another_modal,
    kind_of_value,
)
from server.grounding.likeness import Alike
from server.grounding.pairing import ALIKE, LIGHT_ROOTS, MONEY, PRICES, ROLE_ROOTS, Context, held, is_opposed
from server.grounding.reading import Term, numbered, read, root
from server.grounding.slots import is_out_of_place
from server.grounding.units import is_counted_in, is_unit
from server.grounding.wanted import is_of_wanted_kind
from server.grounding.words import Kind, Word, listed

# Every sum has a cost or a price, so that these name nothing by which it could be told from another.
_NAMED = ROLE_ROOTS - frozenset(map(root, ("cost", "price", "charge", "rate")))
# Of the words of a question, the share that a sentence must speak of: more of it, where other sentences use the rest.
_HALF, _TERSE, _MOST = 0.5, 0.6, 0.7
# How much better a rival must speak of the question before a value is taken for the wrong one.
_BETTER = 0.25
_LONGEST = 300  # words
_ASKING = frozenset(listed("what which who whom whose when where why how"))


class Question:
    """What was asked, held against the sentences that a short answer was found in."""

    def __init__(self, text: str, alike: Alike) -> None:
        terms = read(text)
        # Nothing that was said at such length has a short answer.
        self._asked = [_Asked(part, alike) for part in _each(terms)] if len(terms) <= _LONGEST else []

    def is_answered_by(self, line: Sequence[Term], context: Context, said: Sequence[Word]) -> bool:
        """Does the part of the sentence that holds the short answer `said` speak of what was asked?"""
        return any(asked.is_answered_by(line, context, said) for asked in self._asked)

    def beaten_by(
        self, others: Sequence[tuple[Sequence[Term], Context]], said: Sequence[Word]
    ) -> Callable[[Sequence[Term], Context], bool]:
        """Tell whether another sentence with another value speaks so much better of the question than a given one."""
        is_exact = any(word.kind is Kind.EXACT for word in said)
        best = [(asked, asked.rival(others, said), asked.fitting(others) if is_exact else 0.0) for asked in self._asked]
        return lambda line, context: all(
            asked.coverage(line, context)[0] + _BETTER <= rival or asked.is_named_otherwise(line, context, fitting)
            for asked, rival, fitting in best
        )


def roles_of(line: Sequence[Term]) -> set[str]:
    """What the values of a sentence are called in it."""
    return {term.key for term in line if term.role == "content" and term.key in ROLE_ROOTS}


def _kinds_of_roles(terms: Sequence[Term]) -> dict[str, str]:
    """Which of its kinds a value is said to be of: "paid" for "leave" in "paid annual leave"."""
    return {
        term.key: before.key
        for before, term in pairwise(term for term in terms if not term.key.startswith("per "))
        if before.role == term.role == "content" and term.key in ROLE_ROOTS and before.key not in LIGHT_ROOTS
    }


def _heads(terms: Sequence[Term], of: Set[str]) -> set[str]:
    """What the words of a set tell apart: "semester" for "winter" in "the winter semester"."""
    return {term.key for before, term in pairwise(terms) if before.role == term.role == "content" and before.key in of}


def _one_thing(question: Sequence[Term]) -> set[str]:
    """The words of what is asked about as one of its kind: "a standing desk"."""
    found: set[str] = set()
    for number, term in enumerate(question):
        if term.word.text.casefold() not in ("a", "an"):
            continue
        for after in question[number + 1 :]:
            if after.role != "content":
                break
            found.add(after.key)
    return found - LIGHT_ROOTS


def left_out(first: Sequence[Term], part: Sequence[Term]) -> list[str]:
    """The name of a value ("excess") that the first part of a sentence gives for a later part as well."""
    if any(term.key in ROLE_ROOTS for term in part):
        return []
    return [term.word.text for term in first if term.role == "content" and term.key in ROLE_ROOTS]


def _each(terms: Sequence[Term]) -> list[list[Term]]:
    """The questions in one: "how long is A, and who leads B" asks for two things."""
    parts: list[list[Term]] = [[]]
    for segment in range(1 + max((term.segment for term in terms), default=0)):
        own = [term for term in terms if term.segment == segment]
        if any(term.word.text.casefold() in _ASKING for term in own) and any(
            term.word.text.casefold() in _ASKING for term in parts[-1]
        ):
            parts.append([])
        parts[-1] += own
    return parts


class _Asked:
    """One question."""

    def __init__(self, terms: Sequence[Term], alike: Alike) -> None:
        self._alike = alike
        self._terms = terms
        self._asked = [
            term
            for number, term in enumerate(self._terms)
            if term.role == "content"
            and term.key not in LIGHT_ROOTS
            and not (number and self._terms[number - 1].word.text.casefold() == "how")  # "how long", "how high"
            and term.key not in {earlier.key for earlier in self._terms[:number]}
        ]
        self._keys = {term.key for term in self._asked}
        self._one_thing = _one_thing(self._terms)
        self._rates = {term.key for term in self._terms if term.key.startswith("per ")}
        self._has_bound = any(term.role == "bound" for term in self._terms)
        # "How many weeks": the unit of the answer.
        self._unit = next(
            (
                after.word
                for before, after in pairwise(self._terms)
                if before.word.text.casefold() == "many" and is_unit(after.word)
            ),
            None,
        )

    def is_answered_by(self, line: Sequence[Term], context: Context, said: Sequence[Word]) -> bool:
        """Does the part of the sentence that holds the short answer `said` speak of what was asked?"""
        if not self._is_in_unit([term.word for term in line if any(is_there(term, word) for word in said)]):
            return False
        if not is_of_wanted_kind(self._terms, line, said):
            return False
        if not self._asked:
            return True
        around = context.titles | context.before
        named = roles_of(line)
        roles = {key for key in self._keys if key in _NAMED and not held(key, named | around)}
        if (roles or (self._has_bound and not any(term.role == "bound" for term in line))) and named - self._keys:
            return False
        if self._rates and self._rates.isdisjoint(term.key for term in line) and self._rates.isdisjoint(around):
            return False
        covered, missing = self.coverage(line, context)
        if missing & PRICES and any(word.unit in MONEY for word in said):
            missing = missing - PRICES  # a sum of money says what something costs
            covered = 1 - len(missing) / len(self._asked)
        if missing & self._one_thing and not any(key in context.elsewhere for key in missing & self._one_thing):
            return False  # "for a bicycle": what no sentence of all that was found has anything to say of
        if self._is_about_another(line, missing, context, said) or self._is_of_another_number(line, context):
            return False
        is_of_another = belongs_to_another(line, said, self._keys)
        if is_of_another or self._has_another_value(line, context, said) or self._has_another_bound(line):
            return False
        if is_out_of_place(line, said, self._terms, context.before, missing):
            return False
        if is_in_another_clause(line, said, self._keys) or is_under_another_modal(line, said, self._terms):
            return False
        is_said_of_another = any(key in context.elsewhere for key in missing)
        if covered < self._wanted(line, strict=is_said_of_another or bool(roles)):
            return False
        return is_of_another is False or self._reaches(
            line, {term.segment for term in line if any(is_there(term, word) for word in said)}
        )

    def _wanted(self, line: Sequence[Term], *, strict: bool) -> float:
        """The share of the question that a sentence must speak of; less, where it speaks of nothing else at all."""
        if not strict:
            return _HALF
        is_terse = all(held(term.key, self._keys) for term in line if term.role == "content")
        return _TERSE if is_terse else _MOST

    def _is_in_unit(self, values: Sequence[Word]) -> bool:
        counts = [value for value in values if value.unit and not value.key.startswith("per ")]
        return self._unit is None or not counts or any(is_counted_in(value, self._unit) for value in counts)

    def _has_another_value(self, line: Sequence[Term], context: Context, said: Sequence[Word]) -> bool:
        """Speaks the sentence of a bag of 17 litres, and another one of the asked bag of 35 litres?"""
        here = {term.key for term in line if term.role == "value"}
        if any(
            term.word.text.casefold() == "single" and term.key in context.elsewhere and term.key not in here
            for term in self._terms
        ):
            return True  # "a single room" has a number in it, and "a double room" has none
        values = [term for term in line if term.role == "value" and not any(is_there(term, word) for word in said)]
        return any(
            term.role == "value"
            and term.key in context.elsewhere
            and any(kind_of_value(other) == kind_of_value(term) for other in values)
            and all(other.key != term.key for other in values)
            for term in self._terms
        )

    def _has_another_bound(self, line: Sequence[Term]) -> bool:
        """Speaks the sentence of orders up to a sum, where orders above it were asked for?"""
        here, asked = bounds_of(line), bounds_of(self._terms)
        values = {term.key: here.get(id(term)) for term in line if term.role == "value"}
        return any(
            bound is not None and values.get(term.key, bound) not in (bound, None)
            for term in self._terms
            for bound in (asked.get(id(term)),)
        )

    def _is_about_another(
        self, line: Sequence[Term], missing: Set[str], context: Context, said: Sequence[Word]
    ) -> bool:
        """Has the sentence another in the place of something asked: staff for managers, paid leave for sick leave?"""
        content = [term for term in line if term.role == "content"]
        if any(is_opposed(term, content) for term in self._asked if term.key in missing):
            return True
        given = {word.text for word in said}
        if any(
            key.startswith("non-") and root(key.removeprefix("non-")) in {t.key for t in content} for key in missing
        ):
            return True
        told_apart = {key for key in missing if key in context.elsewhere}
        here = {term.key for term in content} | context.titles
        not_here = [term for term in self._asked if term.key not in here and term.key in told_apart | context.before]
        if any(term.word.kind is Kind.NAME for term in not_here) and any(
            term.word.kind is Kind.NAME and term.key not in self._keys and term.word.text not in given
            for term in content
        ):
            return True
        if _heads(self._terms, told_apart) & _heads(line, {term.key for term in content} - self._keys):
            return True
        kinds = _kinds_of_roles(line)
        return any(key in kinds and kind in missing for key, kind in _kinds_of_roles(self._terms).items())

    def _is_of_another_number(self, line: Sequence[Term], context: Context) -> bool:
        """Speaks the sentence, or its heading, of policy 11 where policy 12 was asked for?"""
        there = numbered(line) or context.numbered
        return any(thing not in there and any(name == thing[0] for name, _ in there) for thing in numbered(self._terms))

    def coverage(self, line: Sequence[Term], context: Context) -> tuple[float, set[str]]:
        """The share of what was asked that a sentence speaks of, and what it does not."""
        if not self._asked:
            return 0.0, set()
        content = [term for term in line if term.role == "content"]
        keys = {term.key for term in content} | context.titles | context.before
        missing = [term for term in self._asked if not held(term.key, keys)]
        left = {term.key for term in missing if not self._is_reworded(term, content, context)}
        return 1 - len(left) / len(self._asked), left

    def _is_reworded(self, asked: Term, content: Sequence[Term], context: Context) -> bool:
        if asked.key in context.elsewhere or asked.key in ROLE_ROOTS or asked.word.kind is Kind.NAME:
            return False
        if is_opposed(asked, content):
            return False  # of one field, and so near to each other
        pairs = [(asked.word.text.casefold(), term.word.text.casefold()) for term in content]
        return bool(pairs) and max(self._alike(pairs)) >= ALIKE

    def is_named_otherwise(self, line: Sequence[Term], context: Context, fitting: float) -> bool:
        """Does this sentence name its value after something that was not asked, and another one as fitting does not?

        "The notice period in probation is two weeks" is not how long "the probation period" is.
        """
        unasked = (roles_of(line) & _NAMED) - self._keys
        return bool(unasked) and 0 < self.coverage(line, context)[0] <= fitting

    def fitting(self, lines: Sequence[tuple[Sequence[Term], Context]]) -> float:
        """How much of the question the best sentence speaks of that names its value after nothing unasked."""
        return max(
            (
                self.coverage(line, context)[0]
                for line, context in lines
                if any(term.role == "value" for term in line) and not roles_of(line) - self._keys
            ),
            default=0.0,
        )

    def _reaches(self, line: Sequence[Term], segments: set[int]) -> bool:
        """Of a sentence in parts, each with a value of its own, the part with the answer must be the asked one."""
        if not segments or max(term.segment for term in line) == 0:
            return True
        for segment in segments - {0}:
            own = {term.key for term in line if term.segment == segment and term.role == "content"}
            if own and not any(held(key, self._keys) for key in own):
                return False
        near = {term.key for term in line if term.role == "content" and term.segment in segments | {0}}
        far = {
            term.key
            for term in line
            if term.role == "content" and term.segment not in segments | {0} and _has_value(line, term)
        }
        return not any(held(key, far) and not held(key, near) for key in self._keys)

    def rival(self, lines: Sequence[tuple[Sequence[Term], Context]], said: Sequence[Word]) -> float:
        """How much of the question the best sentence speaks of that holds only other values of the same kind."""
        values = [word for word in said if word.kind is Kind.EXACT and not word.key.startswith("per ")]
        units, keys = {word.unit for word in values}, {word.key for word in values}
        best = 0.0
        for line, context in lines:
            there = {term.word.key for term in line if term.role == "value" and term.word.unit in units}
            if values and there and there.isdisjoint(keys):
                best = max(best, self.coverage(line, context)[0])
        return best


def _has_value(line: Sequence[Term], of: Term) -> bool:
    return any(term.role == "value" and term.segment == of.segment for term in line)
