"""What a sentence mentions without saying that it is so: what it denies or doubts, and what depends on something.

It knows how English puts that around a statement, and not what the statement is.
"""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass

from server.grounding.reading import root
from server.grounding.words import listed

_SAYING = (
    "(?:say|state|mean|claim|impl|believ|think|show|prov|confirm|suggest|follow|guarantee|assum|promis|establish|expect)"
    "(?:y|ie|e)?(?:s|d|n|ed)?|said|meant|thought|shown"
)
_UNTRUE = (
    "(?:false|untrue|incorrect|wrong|mistaken|inaccurate|unfounded|baseless|disproved|refuted|disputed|doubtful"
    "|not true|not correct|not right|not so|not the case|a myth|a misconception|a lie|a rumou?r)"
)
_TALK = "(?:rumou?r|myth|misconception|fallacy|hearsay|gossip|speculation|allegation|legend|lie|suspicion|theory)"
# What stands behind one of these is not said to be so, up to the end of the statement.
_OPENINGS = re.compile(
    rf"\b(?:{_UNTRUE} (?:that|to (?:say|think|believe|assume|claim))"
    r"|(?:unlikely|improbable|questionable|uncertain|unclear|unknown|unproven|debatable|undecided) (?:that|if)"
    r"|(?:den(?:y|ies|ied|ying|ial)|disput(?:es?|ed|ing)|doubt(?:s|ed|ing)?|refut(?:es?|ed|ing)|contest(?:s|ed)"
    r"|disbelieve[sd]?|rebut(?:s|ted)?|allege[sd]?|claimed|pretend(?:s|ed)?|fear(?:s|ed)|hope[sd]|suspect(?:s|ed)"
    r"|rumou?red) (?:that|if|having)"
    rf"|(?:rejects?|rejected|dismiss(?:es|ed)?) (?:the|any|all) \w+ that|rumou?r has it(?: that)?|{_TALK}s that"
    rf"|(?:a|the|this|that|any) (?:\w+ )?{_TALK} that"
    r"|(?:no|little|without|insufficient) (?:\w+ )?(?:evidence|proof|indication|sign|suggestion|reason|basis|truth"
    r"|guarantee|confirmation)(?: \w+){0,3}? that"
    rf"|(?:nobody|no one|no \w+) (?:\w+ )?(?:{_SAYING}) that|(?:not|never|cannot|\w+n['’]t) (?:be )?(?:{_SAYING}) that"
    r"|(?:falsely|wrongly|mistakenly) \w+ that)(?!\w)",
    re.IGNORECASE,
)
# The same up to a comma, behind which the sentence says what is so.
_ASIDES = re.compile(rf"\b(?:contrary to|despite (?:\w+ )?(?:{_TALK}|claim|report)s?)(?!\w)", re.IGNORECASE)
_QUESTION = re.compile(r"\bwhether(?!\w)", re.IGNORECASE)
# Somewhere in it, for the whole of a statement; and behind it, for what stood before.
_ADVERBS = re.compile(r"\b(?:allegedly|supposedly|purportedly|reputedly)(?!\w)", re.IGNORECASE)
_VERDICTS = re.compile(
    r"(?:,? (?:which|(?:but|and) (?:this|that|it))|^(?:that|the \w+ that)\b[^;]*?) (?:is|was|has been)(?: \w+)?"
    rf" (?P<by>{_UNTRUE})"
    r"(?!\w)(?! that)",
    re.IGNORECASE,
)
_END = re.compile(r";|:|,? (?:but|however|yet|although|though|whereas)\b", re.IGNORECASE)
_END_OF_ASIDE = re.compile(r"[,;:]")
_CONDITIONS = re.compile(
    r"\b(?:if|unless|assuming|provided(?= that| the| an?| you| they| it| no| all)|providing that|(?:as|so) long as"
    r"|on (?:the )?condition|in case(?! \d)|in the event(?= of| that))(?!\w)|(?:^|, )subject to\b|^should(?= [^?]*,)",
    re.IGNORECASE,
)
# "Even if" leaves it as it is, and "as if" is no condition.
_NO_CONDITION = re.compile(r"\b(?:even|as|asked|ask|asks|just in|see|check|know)\s+$", re.IGNORECASE)
# "Is it true that" asks, and does not doubt.
_NOT_TELLING = frozenset(listed("that true right correct case said mean have having"))


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A part of a sentence that it does not say to be so."""

    start: int
    end: int
    by: frozenset[str]  # roots of the words that make it so: who repeats one of them does not leave it out
    is_asked: bool = False  # left open, and not denied: a value in it may be the one that is looked for

    def covers(self, start: int, end: int) -> bool:
        """Lies this span in it?"""
        return self.start <= start and end <= self.end


def unsaid(text: str) -> tuple[Unsaid, ...]:
    """Find the parts of a sentence that it denies or doubts."""
    return tuple(_unsaid(text))


def conditions(text: str) -> tuple[int, ...]:
    """Where in a sentence a condition of the rest begins."""
    return tuple(
        found.start() for found in _CONDITIONS.finditer(text) if not _NO_CONDITION.search(text, 0, found.start())
    )


def _unsaid(text: str) -> Iterator[Unsaid]:
    for found in _OPENINGS.finditer(text):
        yield Unsaid(found.end(), _first(_END, text, found.end()), _told(found.group()))
    for found in _ASIDES.finditer(text):
        yield Unsaid(found.end(), _first(_END_OF_ASIDE, text, found.end()), _told(found.group()))
    for found in _QUESTION.finditer(text):
        yield Unsaid(found.end(), _first(_END_OF_ASIDE, text, found.end()), _told(found.group()), is_asked=True)
    for found in _ADVERBS.finditer(text):
        yield Unsaid(text.rfind(";", 0, found.start()) + 1, _first(_END, text, found.end()), _told(found.group()))
    for found in _VERDICTS.finditer(text):
        yield Unsaid(text.rfind(";", 0, found.start()) + 1, found.end(), _told(found["by"]))


def _first(end: re.Pattern[str], text: str, behind: int) -> int:
    found = end.search(text, behind)
    return found.start() if found else len(text)


def _told(phrase: str) -> frozenset[str]:
    return frozenset(root(word) for word in re.findall(r"\w{4,}", phrase.casefold()) if word not in _NOT_TELLING)


def is_repeated(part: Unsaid, keys: Set[str]) -> bool:
    """Does a claim or a question, by its roots, deny or doubt it likewise?"""
    return not part.by.isdisjoint(keys)
