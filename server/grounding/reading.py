"""A sentence as the checks read it: values in one piece, bounds, modals and denials named, the rest by its root."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from server.grounding.lexicon import BOUNDS, DENIALS, FREE_PHRASES, MODALS, NEED_PHRASES, PHRASES, ROOTS, UNTIL
from server.grounding.values import merged
from server.grounding.words import JOINTS, Kind, Word, words

_CUT = re.compile(r"[,;:—|]|\s[-–]\s")
_ADDRESS = re.compile(r"\w[@./_:]\w")
_NUMBER = frozenset({"number", "no", "nr", "#"})
# Words that bound a value where one follows them this closely: "over 65", "above the age of 65".
_ALSO_PLACES = frozenset({"over", "under", "above", "below", "beyond"})
_REACH = 4
_PLACING = (["in"], ["on"], ["at"])
_CONTENT = (Kind.CONTENT, Kind.NAME)


@dataclass(frozen=True, slots=True)
class Term:
    """A word with what it does: `role` is one of value, bound, modal, denial, quantity, content or function."""

    word: Word
    role: str
    key: str  # what two terms share that mean the same
    segment: int  # which of the parts between commas and joints
    denied: bool  # a denial stands before it in its segment
    clause: int = 0  # which of the parts between semicolons


def read(text: str) -> list[Term]:
    """Read one sentence."""
    terms: list[Term] = []
    tokens = merged(text, _names_joined(words(text)))
    segment, denied, at, end = 0, False, 0, 0
    while at < len(tokens):
        token = tokens[at]
        joint = token.text.casefold() in JOINTS
        if (joint or _CUT.search(text[end : token.start])) and terms and terms[-1].segment == segment:
            segment, denied = segment + 1, denied and _goes_on(tokens[at : at + 2])
        folded, taken = token.text.casefold().replace("’", "'"), 1
        if bound := _bound(tokens, at):
            key, taken = bound
            terms.append(Term(token, "bound", key, segment, denied))
        elif phrase := _phrase(tokens, at):
            role, key, taken = phrase
            is_denial = role == "denial"  # "at no cost" denies the cost, and nothing else of the sentence
            if is_denial:
                terms.append(Term(token, role, "not", segment, denied=True))
                role = "content"
            terms.append(Term(token, role, key, segment, denied or is_denial))
        elif folded in DENIALS:
            denied = True
            role = "modal" if DENIALS[folded] in ("may", "need") else "content"
            terms.append(Term(token, "denial", "not", segment, denied))
            terms.append(Term(token, role, DENIALS[folded], segment, True))
        elif token.kind is Kind.NEGATION and _is_open(tokens, at + 1):
            terms.append(Term(token, "content", root("closed"), segment, denied))
            taken = 2
        elif token.kind is Kind.NEGATION:
            denied = True
            terms.append(Term(token, "denial", "not", segment, denied))
        elif folded in MODALS:
            terms.append(Term(token, "modal", MODALS[folded], segment, denied))
        elif token.kind is Kind.EXACT or _ADDRESS.search(token.text):
            key = (
                f"{token.key} {token.unit}".strip() if token.key != token.text.casefold() or token.unit else token.text
            )
            terms.append(Term(token, "value", key, segment, denied))
        elif token.kind in _CONTENT:
            terms.append(Term(token, "content", root(token.text), segment, denied))
        else:
            role = "quantity" if token.kind is Kind.QUANTITY else "function"
            terms.append(Term(token, role, folded, segment, denied))
        at += taken
        end = tokens[at - 1].end
    return [replace(term, clause=text.count(";", 0, term.word.start)) for term in terms] if ";" in text else terms


def _goes_on(tokens: Sequence[Word]) -> bool:
    """ "Not to sell or to lend", "forbidden in the hall and in the yard": what was denied goes on."""
    joint, *behind = [token.text.casefold() for token in tokens]
    return (joint == "or" and behind == ["to"]) or (joint == "and" and behind[:1] in _PLACING)


def root(word: str) -> str:
    """An ordinary word without its ending: `receives`, `received` and `receiving` are one word."""
    word = word.casefold().replace("’", "'").removesuffix("'s").removesuffix("'")
    return _bare(ROOTS[word]) if word in ROOTS else _bare(word)


def _bare(word: str) -> str:
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    elif word.endswith("ied") and len(word) > 4:
        word = word[:-3] + "y"
    word = ROOTS.get(word, word)
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and any(vowel in stem for vowel in "aeiouy"):
            word = stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem
            break
    return word.removesuffix("e") if len(word) > 3 else word


_PHRASES = {(root(first), *rest): word for (first, *rest), word in PHRASES.items()}
_LONGEST_PHRASE = max(map(len, (*_PHRASES, *FREE_PHRASES, *NEED_PHRASES)))


def _names_joined(found: Sequence[Word]) -> list[Word]:
    """Where a sentence begins with a name of two words, its first word is a name as well."""
    joined = list(found)
    for at, (word, following) in enumerate(pairwise(found)):
        is_open = word.kind is Kind.CONTENT and word.text[0].isupper()
        if is_open and following.kind is Kind.NAME and following.start == word.end + 1:
            joined[at] = replace(word, kind=Kind.NAME)
    return joined


_BOUNDS = {
    opening: [bound for bound in BOUNDS if bound[0][0] == opening] for opening in {phrase[0] for phrase, _ in BOUNDS}
}


def _bound(tokens: Sequence[Word], at: int) -> tuple[str, int] | None:
    for phrase, key in _BOUNDS.get(tokens[at].text.casefold(), ()):
        there = tokens[at : at + len(phrase)]
        if len(there) == len(phrase) and all(
            word.text.casefold() == part for word, part in zip(there, phrase, strict=True)
        ):
            behind = tokens[at + len(phrase) : at + len(phrase) + _REACH]
            if len(phrase) == 1 and phrase[0] in _ALSO_PLACES and not _is_value_or_age(behind):
                continue  # "carried over", "under the roof"
            if key == UNTIL:
                is_before = any(word.text.casefold() in ("before", "prior") for word in behind)
                key = ">=" if is_before else "<="
            return key, len(phrase)
    return None


def _is_open(tokens: Sequence[Word], at: int) -> bool:
    """ "Does not open" and "is not open" say that it is closed, and so deny nothing that "closed" says."""
    return at < len(tokens) and tokens[at].text.casefold() in ("open", "opened")


def _is_value_or_age(behind: Sequence[Word]) -> bool:
    opens = bool(behind) and (behind[0].kind is Kind.EXACT or behind[0].text.casefold() in ("the", "age"))
    return opens and any(word.kind is Kind.EXACT for word in behind)


def _phrase(tokens: Sequence[Word], at: int) -> tuple[str, str, int] | None:
    """Several words that do the work of one: its role, its key, and how many they are."""
    said = [word.text.casefold() for word in tokens[at : at + _LONGEST_PHRASE]]
    for length in range(len(said), 1, -1):
        there = tuple(said[:length])
        if there in NEED_PHRASES:
            return "modal", "need", length
        if there in FREE_PHRASES:
            return "denial", root("cost"), length
        if word := _PHRASES.get((root(there[0]), *there[1:])):
            return "content", root(word), length
    return None


def numbered(terms: Sequence[Term]) -> frozenset[tuple[str, str]]:
    """The things that are told apart by a number or a code behind them: ("policy", "11") in "policy no. 11"."""
    plain = [term for term in terms if term.word.text.casefold() not in _NUMBER]
    return frozenset(
        (before.key, after.key)
        for before, after in pairwise(plain)
        if before.role == "content" and after.role == "value" and not after.word.unit
    )
