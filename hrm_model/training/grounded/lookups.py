"""The easiest examples: plain sentences that differ in one word, so that only matching finds the answer.

A fresh network learns to copy a value of the right type long before it learns whose value was asked for. Here every
sentence offers a value of the type, and question and sentence share their words, which leaves matching to be learned;
the levels of `generate` then take the shared words away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from hrm_model.template import Source
from hrm_model.training.grounded.generate import Example
from hrm_model.training.grounded.names import is_held_out
from hrm_model.training.grounded.nouns import EVENTS, MODIFIERS, THINGS, article
from hrm_model.training.grounded.relations.attributes import ATTRIBUTES, QUALIFIERS
from hrm_model.training.grounded.subjects import Subject, Subjects
from hrm_model.training.grounded.values import VALUES

_STATED = ("the {a} of {s} is {v}", "{s} {has} {an} of {v}", "{v} is the {a} of {s}", "for {s}, the {a} is {v}")
_ASKED = ("what is the {a} of {s}?", "which {a} {does} {s} have?", "{a} of {s}?", "tell me the {a} of {s}.")
_QUOTED = ("Quote the sentence that answers the question. {q}", "{q} Please quote the whole sentence.")
_KINDS = ("person", "company", "place", "product", "thing", "event", "facility", "people", "body", "mass")
_INVENTED = 0.1  # of the attributes: a word that nothing but matching can find


@dataclass(frozen=True, slots=True)
class LookupLevel:
    """How many sentences and passages, and how many words, wordings and attributes are in play."""

    name: str
    sentences: tuple[int, int]
    passages: tuple[int, int]
    unanswerable: float = 0.12
    quotes: float = 0.4
    is_plain: bool = False  # subjects and values are a few hundred nouns, and not invented names, dates and sums
    wordings: int = 4
    attributes: int | None = None  # None: one more than subjects


LOOKUPS = (
    LookupLevel("word", (1, 3), (1, 1), 0.0, 0.3, is_plain=True, wordings=1, attributes=1),
    LookupLevel("cell", (2, 4), (1, 1), 0.1, 0.3, is_plain=True),
    LookupLevel("lookup", (2, 3), (1, 1)),
    LookupLevel("table", (3, 8), (1, 3), 0.2),
)


def lookups(seed: int, level: LookupLevel) -> Iterator[Example]:
    """Yield training examples without end; equal arguments give equal examples."""
    rng = Random(f"{seed} {level.name}")
    subjects = Subjects(held_out=False)
    while True:
        yield _example(rng, level, subjects)


def _example(rng: Random, level: LookupLevel, subjects: Subjects) -> Example:
    count = rng.randint(*level.sentences)
    cells = _cells(rng, level, subjects, count + 1)
    asked = rng.choice(cells)
    is_told = rng.random() >= level.unanswerable
    spare = rng.choice([cell for cell in cells if cell is not asked]) if is_told else asked
    told = [cell for cell in cells if cell is not spare]
    rng.shuffle(told)
    sentences = {id(cell): cell.state(rng, level.wordings) for cell in told}
    texts = list(sentences.values())
    cuts = sorted(rng.sample(range(1, count), min(count, rng.randint(*level.passages)) - 1)) if count > 1 else []
    bounds = list(zip([0, *cuts], [*cuts, count], strict=True))
    sources = tuple(Source("", " ".join(texts[start:end])) for start, end in bounds)
    question = asked.ask(rng, level.wordings)
    is_quote = rng.random() < level.quotes
    if is_quote:
        question = rng.choice(_QUOTED).format(q=question)
    gold = sentences[id(asked)] if is_told else None
    return Example.made(
        question,
        sources,
        evidence=gold,
        answer=asked.as_written(gold) if gold else "",
        is_quote=is_quote,
        sentences=tuple(texts),
        asked=(asked.subject.key, asked.attribute),
        facts=tuple((cell.subject.key, cell.attribute, cell.value) for cell in told),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    """One entry of a table of subjects and attributes."""

    subject: Subject
    attribute: str
    value: str

    def state(self, rng: Random, wordings: int) -> str:
        line = rng.choice(_STATED[:wordings]).format(
            **self.subject.refer(rng), a=self.attribute, an=article(self.attribute) + " " + self.attribute, v=self.value
        )
        return f"{line[0].upper()}{line[1:]}."

    def as_written(self, sentence: str) -> str:
        """The value as `sentence` has it: with a capital where it opens the sentence."""
        return self.value if self.value in sentence else sentence[: len(self.value)]

    def ask(self, rng: Random, wordings: int) -> str:
        line = rng.choice(_ASKED[:wordings]).format(**self.subject.refer(rng), a=self.attribute)
        return line[0].upper() + line[1:] if rng.random() < 0.9 else line


def _cells(rng: Random, level: LookupLevel, subjects: Subjects, count: int) -> list[_Cell]:
    """Different cells of one small table, so that each shares its subject or its attribute with another."""
    side = count if level.attributes == 1 else 2 if count < 5 else 3
    columns = level.attributes or side + 1
    if level.is_plain:
        nouns = _plain_nouns()
        people = [_plain(noun) for noun in rng.sample(nouns[::2], side)]
        attributes = dict.fromkeys(rng.sample(_plain_attributes(), columns), "")
        values = iter(rng.sample(nouns[1::2], count))
        return [
            _Cell(subject, name, next(values))
            for subject, name in rng.sample([(subject, name) for subject in people for name in attributes], count)
        ]
    people, attributes = _people(rng, subjects, side), _attributes(rng, subjects, columns)
    table = [(subject, name, kind) for subject in people for name, kind in attributes.items()]
    return [_Cell(subject, name, VALUES[kind](rng, subjects.words)) for subject, name, kind in rng.sample(table, count)]


def _people(rng: Random, subjects: Subjects, count: int) -> list[Subject]:
    people = [subjects.draw(rng, _KINDS)]
    while len(people) < count:
        other = subjects.near(rng, people[0]) if rng.random() < 0.4 else subjects.draw(rng, _KINDS)
        if other.key not in {one.key for one in people}:
            people.append(other)
    return people


def _attributes(rng: Random, subjects: Subjects, count: int) -> dict[str, str]:
    attributes: dict[str, str] = {}
    while len(attributes) < count:
        name, kind, _ = rng.choice(ATTRIBUTES)
        if rng.random() < _INVENTED:
            name = rng.choice(subjects.words.product).lower()
        elif rng.random() < 0.4:
            name = f"{rng.choice(QUALIFIERS)} {name}"
        attributes[name] = kind
    return attributes


def _plain(noun: str) -> Subject:
    return Subject(noun, "thing", ((f"the {noun}", False),), noun, noun, (noun, noun))


@cache
def _plain_nouns() -> Sequence[str]:
    nouns = [noun for noun in dict.fromkeys((*THINGS, *MODIFIERS, *EVENTS)) if noun.isalpha() and not is_held_out(noun)]
    return Random(1).sample(nouns, len(nouns))


@cache
def _plain_attributes() -> Sequence[str]:
    names = dict.fromkeys(name for name, _, _ in ATTRIBUTES if name.isalpha())
    return [name for name in names if name not in _plain_nouns()]
