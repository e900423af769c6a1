"""What is done, and who does it: is the answer said of the deed that was asked about, and not of one beside it?"""

from collections.abc import Sequence, Set

from server.grounding.order import BE
from server.grounding.pairing import LIGHT_ROOTS, held
from server.grounding.reading import Term

_NOUN_ENDINGS = ("ing", "al", "ion", "ment", "ance", "er", "or")


def asks_who_it_is(question: Sequence[Term]) -> bool:
    """Does the question begin with "who is", so that it names no deed by which to know the one meant?"""
    opening = [term.word.text.casefold() for term in question[:2]]
    return len(opening) > 1 and opening[0] == "who" and opening[1] in BE


def is_done_by_another(line: Sequence[Term], place: Sequence[Term], question: Sequence[Term]) -> bool:
    """Does somebody else do what was asked: "A orders it, and B pays"?"""
    verb = _deed(question)
    if verb is None:
        return False
    deeds = [
        term
        for term in line
        if term.role == "content"
        and held(verb.key, {term.key})
        and term not in place
        and term.clause == place[0].clause
    ]
    if not deeds:
        return False
    return not any(_does(line, place, deed) for deed in deeds)


def is_done_too(line: Sequence[Term], place: Sequence[Term], question: Sequence[Term]) -> bool:
    """Goes a later part on with the same doer: "the sender packs and labels the goods"?"""
    verb = _deed(question)
    return verb is not None and any(
        term.role == "content"
        and held(verb.key, {term.key})
        and term.segment != place[0].segment
        and term.word.start > place[0].word.start
        and _does(line, place, term)
        for term in line
    )


def is_told_of_another_deed(
    line: Sequence[Term], place: Sequence[Term], asked: Sequence[Term], missing: Set[str]
) -> bool:
    """Says the sentence what else was done, and when: "erected on 1 March" does not say when it was demolished?"""
    opening = [number for number, term in enumerate(asked) if term.word.text.casefold() in BE]
    deeds = [term for term in asked[opening[0] :] if _is_deed(term)] if opening else []
    if not deeds or deeds[-1].key not in missing:
        return False
    at = next(number for number, term in enumerate(line) if term is place[0])
    before = [term for term in line[:at] if term.clause == place[0].clause and term.segment == place[0].segment]
    done = [number for number, term in enumerate(before) if _is_deed(term)]
    return bool(done) and any(term.word.text.casefold() in BE for term in before[: done[-1]])


def _deed(question: Sequence[Term]) -> Term | None:
    """What "who" is asked to have done."""
    if not question or question[0].word.text.casefold() != "who" or asks_who_it_is(question):
        return None
    content = [term for term in question if term.role == "content"]
    return content[0] if content and content[0].key not in LIGHT_ROOTS else None


def _does(line: Sequence[Term], place: Sequence[Term], deed: Term) -> bool:
    at = next(number for number, term in enumerate(line) if term is deed)
    before = [term.word.text.casefold() for term in line[:at]]
    word = deed.word.text.casefold()
    if word.endswith(_NOUN_ENDINGS):
        return True
    is_passive = any(one in BE for one in before) and word.endswith(("ed", "en", "t", "n", "d"))
    own = [term for term in line if term.segment == place[0].segment and term not in place]
    ahead = [term for term in own if term.word.start < place[0].word.start]
    if is_passive:
        return place[0].word.start > deed.word.start and (
            place[0].segment == deed.segment or not any(_is_deed(term) for term in ahead)
        )
    if place[0].word.start > deed.word.start:
        is_told = any(term.role == "content" for term in own) and not any(term.role == "content" for term in ahead)
        return is_told and place[0].segment > deed.segment
    own_subject = [
        term
        for term in line
        if term.segment == deed.segment
        and term.role == "content"
        and place[-1].word.start < term.word.start < deed.word.start
    ]
    return place[0].segment == deed.segment or not own_subject


def _is_deed(term: Term) -> bool:
    return term.role == "content" and term.word.text.casefold().endswith("ed")
