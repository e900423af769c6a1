"""A small invented world: what is told in one example, and what must not be, so that its question has one answer."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from hrm_model.training.grounded import asking, clauses
from hrm_model.training.grounded.clauses import Clause
from hrm_model.training.grounded.nouns import article
from hrm_model.training.grounded.relations import RELATIONS, Relation
from hrm_model.training.grounded.relations.attributes import attribute
from hrm_model.training.grounded.subjects import Subject, Subjects
from hrm_model.training.grounded.values import VALUES
from hrm_model.training.grounded.wording import fill

# How often each kind of subject is drawn.
KINDS: Mapping[str, int] = {
    "thing": 4, "event": 2, "facility": 2, "people": 2, "body": 1, "mass": 1, "group": 3, "person": 3, "place": 1, "company": 1, "product": 1, "reader": 3,
}  # fmt: skip
# Rules for readers are rules for people.
BY_KIND = {
    kind: tuple(one for one in RELATIONS if ("people" if kind == "reader" else kind) in one.kinds) for kind in KINDS
}
LEAD_INS = (
    "as a rule, ", "in general, ", "at present, ", "since {year}, ", "since last year, ", "under the new rules, ", "according to the plan, ", "please note that ",
    "as of {date}, ", "in most cases, ", "from now on, ", "for example, ", "until further notice, ", "by agreement, ", "note that ", "in {place}, ", "however, ",
    "in addition, ", "as far as we know, ", "by law, ", "in practice, ", "today, ", "normally, ", "this means that ", "it is known that ", "also, ",
    "as {person} explained, ", "according to {person}, ", "in {month}, ", "by decision of {who}, ", "at {company}, ", "after the vote, ", "unlike before, ",
)  # fmt: skip
SUFFIXES = (
    " in most cases", " at the moment", ", according to the handbook", ", as agreed", " until further notice", ", unless agreed otherwise", " (see below)",
    ", as the list shows", " as before", ", which is new", ", as everyone knows", " this year", ", and nothing has changed since", ", said {person}",
    ", even on {weekday}s", " (see {code})", ", as {who} confirmed", ", whatever the reason", ", at least in {place}", " without exception",
)  # fmt: skip
# What may follow a value without being part of it.
TAILS: Mapping[str, Sequence[str]] = {
    "money": (
        " per person",
        " a year",
        " plus tax",
        " a month",
        " in total",
        " per case",
        " including tax",
        " each time",
        " a day",
    ),
    "duration": (
        " from receipt",
        " of the event",
        " after the end of the contract",
        " in total",
        " from the date of the invoice",
        " without a break",
        " after the accident",
    ),
    "percent": (" of the price", " of the salary", " of the total", " a year", " of the sum insured"),
    "time": (" sharp", " local time", " on working days", " at the latest"),
    "who": (" alone", " and nobody else", " personally", ", who has done so for years"),
    "person": (" alone", ", a well-known expert", " personally", ", who lives in {place}", ", now retired"),
    "count": (" in all", " this year", " at the last count", " so far"),
    "date": (" at the latest", " in the morning", " as planned", ", a {weekday}"),
    "item": (" in every case", " on request", " at the counter"),
}
CONJUNCTIONS = (
    "if",
    "when",
    "once",
    "after",
    "before",
    "although",
    "because",
    "as soon as",
    "even if",
    "whenever",
    "unless",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that can be asked: of whom, which relation, the answer as it stands in the text, and how to ask."""

    subject: str
    relation: str
    answer: str
    ask: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, or a line of a list, with the facts that it tells; `clause` is the sentence without capital and stop."""

    text: str
    facts: Sequence[Fact] = ()
    clause: str = ""


class World:
    """Draws statements that neither repeat nor blur what was told before."""

    def __init__(self, rng: Random, subjects: Subjects, held_out: bool, subclauses: float) -> None:
        self.rng = rng
        self.subjects = subjects
        self.held_out = held_out
        self._subclauses = subclauses
        self._told: dict[str, list[Relation]] = {}
        self._events: set[tuple[str, str]] = set()
        self._reader = subjects.draw(rng, ("reader",))

    def relation_for(self, subject: Subject) -> Relation:
        """Draw a relation that can still be told of the subject."""
        while True:
            if self.rng.random() < (0.3 if subject.kind != "reader" else 0.05):
                relation = attribute(self.rng, self.subjects.words)
            else:
                options = BY_KIND[subject.kind]
                relation = options[int(self.rng.random() * len(options))]
            if self.admits(subject, relation):
                return relation

    def subject(self, kinds: Sequence[str] = ()) -> Subject:
        """Draw any subject. Readers are the same throughout a world, so that `I` means one of them."""
        options = kinds or _DRAWN
        kind = options[int(self.rng.random() * len(options))]
        return self._reader if kind == "reader" else self.subjects.draw(self.rng, (kind,))

    def subject_for(self, relation: Relation, near: Subject | None) -> Subject | None:
        """Draw a subject that suits the relation, like `near` if given; none if the draw was told already."""
        drawn = self.subjects.near(self.rng, near) if near else self.subject(relation.kinds)
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

    def tell(self, subject: Subject, relation: Relation, *, back: bool = False) -> Sentence:
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
        clause = fill(line, slots)
        if line.endswith("{v}") and relation.value in TAILS and rng.random() < 0.15:
            clause += self.filled(TAILS[relation.value])
        return written(self._dressed(clause), (self.fact(subject, relation, value),))

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

    def tell_event(self, event: Clause) -> Sentence:
        """State an event in a sentence."""
        clause = self._dressed(clauses.tell(self.rng, event, self.held_out))
        parts = {"agent": event.agent, "object": event.thing, **event.parts}
        return written(clause, [self.event_fact(event, part, value) for part, value in parts.items()])

    def event_fact(self, event: Clause, part: str, answer: str = "") -> Fact:
        """Make a part of an event to ask for."""
        key = f"{event.verb} {event.thing}" if part != "object" else f"{event.agent} {event.verb}"
        return Fact(key.lower(), f"event {part}", answer, lambda: clauses.ask(self.rng, event, part, self.held_out))

    def filled(self, templates: Sequence[str]) -> str:
        """Draw a template of one slot at most, and fill it."""
        template = templates[int(self.rng.random() * len(templates))]
        if "{" not in template:
            return template
        slot = template[template.index("{") + 1 : template.index("}")]
        return template.replace(f"{{{slot}}}", VALUES[slot](self.rng, self.subjects.words))

    def _dressed(self, clause: str) -> str:
        """Put something before or after a clause, now and then: a phrase, or a whole other event."""
        roll = self.rng.random()
        if roll < 0.08:
            return self.filled(LEAD_INS) + clause
        if roll < 0.14:
            return clause + self.filled(SUFFIXES)
        if self.rng.random() >= self._subclauses:
            return clause
        other = clauses.tell(self.rng, self.event(adverbs=1), self.held_out)
        conjunction = CONJUNCTIONS[int(self.rng.random() * len(CONJUNCTIONS))]
        return f"{conjunction} {other}, {clause}" if roll < 0.6 else f"{clause} {conjunction} {other}"


_DRAWN = tuple(kind for kind, share in KINDS.items() for _ in range(share))


def written(clause: str, facts: Sequence[Fact]) -> Sentence:
    """Write a clause as a sentence, and its answers as they stand there."""
    text = f"{clause[0].upper()}{clause[1:]}."
    return Sentence(text, [replace(fact, answer=_as_written(text, fact.answer)) for fact in facts], clause)


def joined(first: Sentence, link: str, second: Sentence) -> Sentence:
    """Make one sentence of two."""
    return written(f"{first.clause}{link}{second.clause}", (*first.facts, *second.facts))


def _as_written(text: str, value: str) -> str:
    if value in text:
        return value
    capital = value[0].upper() + value[1:]
    return capital if capital in text else value[0].lower() + value[1:]
