"""A small invented world: what is told in one example, and what must not be, so that its question has one answer."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from hrm_model.training.grounded import asking, clauses
from hrm_model.training.grounded.clauses import Clause
from hrm_model.training.grounded.nouns import article
from hrm_model.training.grounded.relations import RELATIONS, Relation
from hrm_model.training.grounded.relations.attributes import attribute
from hrm_model.training.grounded.relations.relation import ANYTHING
from hrm_model.training.grounded.subjects import Subject, Subjects
from hrm_model.training.grounded.values import VALUES

_KINDS = ("thing", "event", "facility", "people", "body", "mass", "group", "person", "place", "company", "product")
BY_KIND = {kind: tuple(relation for relation in RELATIONS if kind in relation.kinds) for kind in _KINDS}
KINDS_DRAWN = (
    "thing",
    "thing",
    "thing",
    "event",
    "facility",
    "people",
    "body",
    "mass",
    "group",
    "group",
    "person",
    "person",
    "place",
    "company",
    "product",
)
LEAD_INS = (
    "as a rule, ", "in general, ", "at present, ", "since {year}, ", "since last year, ", "under the new rules, ", "according to the plan, ", "please note that ",
    "as of {date}, ", "in most cases, ", "from now on, ", "for example, ", "until further notice, ", "by agreement, ", "note that ", "in {place}, ", "however, ",
    "in addition, ", "as far as we know, ", "by law, ", "in practice, ", "today, ", "normally, ", "this means that ", "it is known that ", "also, ",
)  # fmt: skip
SUFFIXES = (
    " in most cases", " at the moment", ", according to the handbook", ", as agreed", " until further notice", ", unless agreed otherwise", " (see below)",
    ", as the list shows", " as before", ", which is new", ", as everyone knows", " this year", ", and nothing has changed since",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that can be asked: of whom, which relation, the answer as it stands in the text, and how to ask."""

    subject: str
    relation: str
    answer: str
    ask: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, or a line of a list, with the facts that it tells."""

    text: str
    facts: Sequence[Fact] = ()


class World:
    """Draws statements that neither repeat nor blur what was told before."""

    def __init__(self, rng: Random, subjects: Subjects, held_out: bool) -> None:
        self.rng = rng
        self.subjects = subjects
        self.held_out = held_out
        self._told: dict[str, list[Relation]] = {}
        self._events: set[tuple[str, str]] = set()

    def relation_for(self, subject: Subject) -> Relation:
        """Draw a relation that can still be told of the subject."""
        while True:
            if self.rng.random() < 0.3:
                relation = attribute(self.rng)
            else:
                options = BY_KIND[subject.kind]
                relation = options[int(self.rng.random() * len(options))]
            if self.admits(subject, relation):
                return relation

    def subject(self) -> Subject:
        """Draw any subject."""
        return self.subjects.draw(self.rng, KINDS_DRAWN)

    def subject_for(self, relation: Relation, near: Subject | None) -> Subject | None:
        """Draw a subject that suits the relation, like `near` if given; none if the draw was told already."""
        drawn = self.subjects.near(self.rng, near) if near else self.subjects.draw(self.rng, relation.kinds or ANYTHING)
        return drawn if self.admits(drawn, relation) else None

    def admits(self, subject: Subject, relation: Relation) -> bool:
        """Say whether the fact would leave every question with one answer."""
        return not any(relation.could_mean(told) for told in self._told.get(subject.key, ()))

    def note(self, subject: Subject, relation: Relation) -> None:
        """Treat the fact as told."""
        self._told.setdefault(subject.key, []).append(relation)

    def fact(self, subject: Subject, relation: Relation, answer: str = "") -> Fact:
        """Make a fact to ask for."""
        return Fact(subject.key, relation.name, answer, lambda: asking.ask(self.rng, relation, subject, self.held_out))

    def value(self, relation: Relation) -> str:
        """Draw a value of the relation's type."""
        return VALUES[relation.value](self.rng, self.subjects.words)

    def tell(self, subject: Subject, relation: Relation, *, back: bool = False, plain: bool = False) -> Sentence:
        """State a fact in a sentence; `back` refers to a subject that was named before."""
        rng = self.rng
        self.note(subject, relation)
        value = self.value(relation)
        slots = subject.refer_back(rng) if back else subject.refer(rng)
        slots["v"] = value
        if relation.attribute:
            slots["a"] = relation.attribute
            slots["an"] = f"{article(relation.attribute)} {relation.attribute}"
        line = asking.pick(rng, relation.statements, self.held_out)
        if back and "{s}" in line and slots["s"] in _OBJECTS and not line.startswith("{s}"):
            line = _as_object(line, slots)
        text = line.format_map(slots)
        roll = rng.random()
        if not plain and roll < 0.08:
            text = self.filled(LEAD_INS) + text
        elif not plain and roll < 0.14:
            text += SUFFIXES[int(rng.random() * len(SUFFIXES))]
        text = sentence(text)
        return Sentence(text, (self.fact(subject, relation, _as_written(text, value)),))

    def row(self, subject: Subject, relation: Relation, label: str, divider: str) -> Sentence:
        """State a fact as a line of a list or a table."""
        self.note(subject, relation)
        value = self.value(relation)
        return Sentence(f"{label[0].upper()}{label[1:]}{divider}{value}", (self.fact(subject, relation, value),))

    def event(self, *, like: Clause | None = None, adverbs: int = 2) -> Clause:
        """Invent an event; `like` keeps one of another's parts."""
        while True:
            keep = int(self.rng.random() * 3) if like else -1
            clause = clauses.invent(
                self.rng,
                self.subjects,
                agent=like.agent if like and keep == 0 else "",
                verb=like.verb if like and keep == 1 else "",
                thing=like.thing if like and keep == 2 else "",
                adverbs=adverbs,
            )
            if not {(clause.agent, clause.verb), (clause.verb, clause.thing)} & self._events:
                self._events |= {(clause.agent, clause.verb), (clause.verb, clause.thing)}
                return clause

    def tell_event(self, clause: Clause) -> Sentence:
        """State an event in a sentence."""
        text = sentence(clauses.tell(self.rng, clause, self.held_out))
        parts = {"agent": clause.agent, "object": clause.thing, **clause.parts}
        return Sentence(
            text, [self.event_fact(clause, part, _as_written(text, value)) for part, value in parts.items()]
        )

    def event_fact(self, clause: Clause, part: str, answer: str = "") -> Fact:
        """Make a part of an event to ask for."""
        key = f"{clause.verb} {clause.thing}" if part != "object" else f"{clause.agent} {clause.verb}"
        return Fact(key.lower(), f"event {part}", answer, lambda: clauses.ask(self.rng, clause, part, self.held_out))

    def filled(self, templates: Sequence[str]) -> str:
        """Draw a template of one slot at most, and fill it."""
        template = templates[int(self.rng.random() * len(templates))]
        if "{" not in template:
            return template
        slot = template[template.index("{") + 1 : template.index("}")]
        return template.replace(f"{{{slot}}}", VALUES[slot](self.rng, self.subjects.words))


def sentence(text: str) -> str:
    """Begin with a capital, end with a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def _as_written(text: str, value: str) -> str:
    return value if value in text else value[0].upper() + value[1:]


_OBJECTS = {"it": "it", "they": "them", "she": "her", "he": "him"}


def _as_object(line: str, slots: dict[str, str]) -> str:
    """Spell a pronoun as an object wherever no verb that agrees with it follows."""
    before, _, after = line.partition("{s}")
    follows = after.lstrip()
    agrees = (follows.startswith("{") and not follows.startswith("{v}")) or (
        after.split(" ")[1:2] and "{" in after.split(" ")[1] and "{v}" not in after.split(" ")[1]
    )
    return line if agrees else f"{before}{_OBJECTS[slots['s']]}{after}"
