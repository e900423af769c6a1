"""Text as words, each with what an answer may do to it: reword it, leave it out, or copy it to the letter."""

import re
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a word carries."""

    EXACT = "exact"  # numbers, codes, dates, signs of currency: to the letter
    NAME = "name"  # capitalised where a sentence does not ask for it: to the letter
    QUANTITY = "quantity"  # numbers, units and limits in words: inflected, never replaced
    MODAL = "modal"  # may, must: never replaced, and yet nothing that a text is about
    NEGATION = "negation"
    CONTENT = "content"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text; `key` is what two words must share to be the same in an ordinary comparison."""

    text: str
    key: str
    kind: Kind
    start: int
    end: int
    # Of a value (server/grounding/values.py): what it is measured in, and how many of the units as written.
    unit: str = ""
    count: str = ""

    @property
    def is_number(self) -> bool:
        """In digits or in letters."""
        return self.key in NUMBERS or any(letter.isdigit() for letter in self.text)


# Inner punctuation belongs to the word ("1,200.50", "2024-05-01", "AX-17", "o'clock"), closing punctuation does not.
# A sign counts when nothing stands before its number, so "-5" is not 5 while "3-5" stays one word.
_WORD = re.compile(
    r"(?:(?<![^\W_])(?<!\S)[+\-−–](?=\d))?[^\W_]+"
    r"(?:(?:[.](?=[^\W_])|[,:](?<=\d.)(?=\d)|/(?=[^\W_])|['’\-–_@](?=[^\W_]))[^\W_]+)*"
    r"|[%‰€$£¥°§#]"
)

# What stands between two sentences is no longer than this; looking back no further keeps long texts cheap.
_LONGEST_OPENING = 8


def listed(text: str) -> list[str]:
    """Words of a text, for lists that are easier to read without quotes."""
    return text.split()


def _listed(text: str) -> frozenset[str]:
    return frozenset(listed(text))


_FUNCTION = _listed(
    """a an the this that these those it its he him his she her hers they them their theirs we us our ours you your
    yours i me my mine who whom whose which what when where why how there here am is are was were be been being do does
    did done doing have has had having will would shall of in on at by for with to from as into onto about through
    during per via and or but so yet if then than also too very just yes ok okay please according say says said get
    gets got"""
)
_MODAL = _listed("may might must can could should")
_NEGATION = _listed(
    """not no never none nobody nothing nowhere neither nor without cannot hardly rarely except unless excluding
    excluded"""
)
NUMBERS = _listed(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen"""
)
_QUANTITY = NUMBERS | _listed(
    """half quarter third once twice double first second fourth fifth sixth seventh eighth ninth tenth last only all
    every each any some most both least more less fewer before after until within over under between
    minute hour day night week fortnight month year decade percent cent euro dollar pound franc kg km cm mm metre meter
    mile litre liter gram kilogram pm noon midnight"""
)

ARTICLES = _listed("the a an")
# What joins two statements that stand side by side, and with the last two any.
EQUAL_JOINTS = _listed("and but or while whereas")
JOINTS = EQUAL_JOINTS | _listed("although though")
WEEKDAYS = _listed("monday tuesday wednesday thursday friday saturday sunday")


def is_same_name(one: Word, other: Word) -> bool:
    """To the letter; only the days of the week have a plural that means the same."""
    return one.text == other.text or (one.key == other.key and one.key in WEEKDAYS)


def words(text: str) -> list[Word]:
    """Cut a text into words; a capital at the start of the text or of a sentence in it makes no name."""
    found = []
    for match in _WORD.finditer(text):
        spelled = match.group()
        start, end = match.span()
        if spelled[-2:] in ("'s", "’s") and len(spelled) > 2:
            spelled, end = spelled[:-2], end - 2
        key = stem(spelled.casefold())
        found.append(Word(spelled, key, _kind(spelled, key, initial=_opens(text, start)), start, end))
    return found


def content_keys(text: str) -> set[str]:
    """What a text is about: the keys of its words without those that only hold sentences together."""
    return {word.key for word in words(text) if word.kind not in (Kind.FUNCTION, Kind.MODAL)}


def stem(word: str) -> str:
    """Take the plural off an ordinary word; two forms that share a stem are taken as one word."""
    word = word.replace("’", "'")
    if len(word) <= 3 or any(letter.isdigit() for letter in word):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _kind(spelled: str, key: str, *, initial: bool) -> Kind:
    folded = spelled.casefold().replace("’", "'")
    if not spelled[-1].isalpha() or any(letter.isdigit() for letter in spelled):
        return Kind.EXACT
    if folded in _NEGATION or folded.endswith("n't"):
        return Kind.NEGATION
    # "NASA", "iPhone", and "Marta" in mid-sentence: no rule of writing asks for these capitals. So with "gate A",
    # the IT department and the month of May, which are otherwise small words.
    is_capitalised = spelled[0].isupper() and not initial and spelled != "I"
    if is_capitalised or any(letter.isupper() for letter in spelled[1:]):
        return Kind.NAME
    if folded in _FUNCTION:
        return Kind.FUNCTION
    if key in _QUANTITY or folded in _QUANTITY:
        return Kind.QUANTITY
    return Kind.MODAL if folded in _MODAL else Kind.CONTENT


def _opens(text: str, start: int) -> bool:
    nearby = text[max(0, start - _LONGEST_OPENING) : start]
    before = nearby.rstrip(" \t\n\"'“‘(«-*•")
    return not before or before[-1] in ".!?:" or "\n" in nearby[len(before) :]
