"""Examples: a prompt as the server spells it, and the answer that it should get."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal, Self

from hrm_model.template import UNANSWERABLE, Source, Turn, compose
from hrm_model.training.grounded import asking
from hrm_model.training.grounded.clauses import ADVERBS
from hrm_model.training.grounded.passages import Manner, Passage, Target, Writer
from hrm_model.training.grounded.subjects import Subjects
from hrm_model.training.grounded.world import Fact, Sentence, World

Split = Literal["train", "names", "wordings"]
Kind = Literal["span", "quote", "unanswerable"]


@dataclass(frozen=True, slots=True)
class Level:
    """How hard examples are: sizes as (least, most), everything else as chances."""

    name: str
    passages: tuple[int, int]
    sentences: tuple[int, int]
    unanswerable: float
    titles: float
    quotes: float
    system: float
    turns: float
    fillers: float
    near: float
    lists: float = 0.0
    events: float = 0.25
    subclauses: float = 0.0
    max_words: int = 350


LEVELS: tuple[Level, ...] = (
    Level(
        "line",
        passages=(1, 1),
        sentences=(1, 2),
        unanswerable=0.08,
        titles=0.0,
        quotes=0.4,
        system=0.0,
        turns=0.0,
        fillers=0.0,
        near=0.3,
    ),
    Level(
        "passage",
        passages=(1, 1),
        sentences=(1, 4),
        unanswerable=0.15,
        titles=0.3,
        quotes=0.2,
        system=0.0,
        turns=0.0,
        fillers=0.05,
        near=0.4,
        lists=0.05,
        subclauses=0.04,
    ),
    Level(
        "pair",
        passages=(1, 2),
        sentences=(1, 3),
        unanswerable=0.18,
        titles=0.5,
        quotes=0.15,
        system=0.05,
        turns=0.03,
        fillers=0.1,
        near=0.5,
        lists=0.1,
        subclauses=0.06,
    ),
    Level(
        "few",
        passages=(1, 4),
        sentences=(1, 3),
        unanswerable=0.2,
        titles=0.6,
        quotes=0.12,
        system=0.1,
        turns=0.06,
        fillers=0.12,
        near=0.55,
        lists=0.12,
        subclauses=0.08,
    ),
    Level(
        "many",
        passages=(1, 6),
        sentences=(1, 5),
        unanswerable=0.2,
        titles=0.7,
        quotes=0.1,
        system=0.15,
        turns=0.1,
        fillers=0.15,
        near=0.6,
        lists=0.12,
        subclauses=0.08,
    ),
)
SYSTEM = (
    "You are a helpful assistant.", "Answer briefly.", "Answer only from the documents.", "You answer questions of employees.", "Be polite and precise.",
    "You work for {company}.", "You are the assistant of {company}.", "Use only the text below.", "If you do not know, say so.", "Answer in English.",
    "Keep answers short.", "You help customers of {company}.", "Today is {date}.", "You are a careful librarian.", "Do not guess.", "The user works in {place}.",
)  # fmt: skip
SMALL_TALK = (
    ("Hello!", "Hello, how can I help?"), ("Good morning.", "Good morning! What would you like to know?"), ("Thanks, that helped.", "You are welcome."),
    ("Who are you?", "I answer questions about the documents."), ("Can you help me?", "Yes, please ask."), ("That is not what I meant.", "Sorry. Please ask again."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """One instruction with its response, and what it was made of."""

    instruction: str
    response: str
    kind: Kind
    passages: tuple[Source, ...]
    question: str
    evidence: str | None  # the sentence that holds the answer
    sentences: tuple[str, ...]
    system: str
    turns: tuple[Turn, ...]
    asked: tuple[str, str]
    facts: tuple[tuple[str, str, str], ...]
    condition: str = "direct"

    @classmethod
    def made(
        cls,
        question: str,
        passages: tuple[Source, ...],
        *,
        evidence: str | None,
        answer: str,
        is_quote: bool,
        system: str = "",
        turns: tuple[Turn, ...] = (),
        **made_of: Any,
    ) -> Self:
        """Spell the instruction, and the response that it should get.

        Args:
            evidence: the sentence that holds the answer; None: no passage does.
            answer: as it stands there; it is not read where there is no such sentence.
            is_quote: the question asks for the sentence.
            made_of: the other fields.
        """
        return cls(
            instruction=compose(question, sources=passages, turns=turns, system=system),
            response=UNANSWERABLE if evidence is None else evidence if is_quote else answer,
            kind="unanswerable" if evidence is None else "quote" if is_quote else "span",
            passages=passages,
            question=question,
            evidence=evidence,
            system=system,
            turns=turns,
            **made_of,
        )

    def record(self) -> dict[str, object]:
        """The example as a line of JSONL."""
        return {
            "instruction": self.instruction,
            "response": self.response,
            "condition": self.condition,
            "kind": self.kind,
            "passages": [{"title": source.title, "text": source.text} for source in self.passages],
            "question": self.question,
            "evidence": self.evidence,
            "sentences": list(self.sentences),
        }


def examples(seed: int, level: Level, split: Split) -> Iterator[Example]:
    """Yield examples without end; equal arguments give equal examples.

    `names` draws invented words and common nouns that training never meets, `wordings` statements and questions
    that it never reads.
    """
    rng = Random(f"{seed} {level.name} {split}")
    subjects = _subjects(split == "names")
    while True:
        example = _example(rng, level, subjects, split == "wordings")
        if example is not None:
            yield example


@cache
def _subjects(held_out: bool) -> Subjects:
    return Subjects(held_out)


def _example(rng: Random, level: Level, subjects: Subjects, held_out: bool) -> Example | None:
    world = World(rng, subjects, held_out, level.subclauses)
    target = _target(world, level)
    writer = Writer(world, Manner(level.titles, level.fillers, level.near, level.lists, events=level.events), target)
    is_told = rng.random() >= level.unanswerable
    count = rng.randint(*level.passages)
    if target.subject is not None and target.relation is not None:
        world.note(target.subject, target.relation)
    replacement = None if is_told else writer.distractor()
    place = int(rng.random() * count)
    passages: list[Passage] = []
    room = level.max_words
    for index in range(count):
        size = rng.randint(*level.sentences)
        if index == place and is_told:
            passages.append(writer.write(size, True))
        else:
            passages.append(writer.write_beside(size, replacement if index == place else None))
        room -= len(passages[-1].text.split())
        if room < 0 and index > place:
            passages.pop()
            break
    return _finished(rng, level, world, target, passages, is_told)


def _target(world: World, level: Level) -> Target:
    if world.rng.random() < level.events:
        return Target(event=world.event())
    subject = world.subject()
    return Target(subject, world.relation_for(subject))


def _missing(world: World, target: Target) -> Fact:
    """Choose what to ask when the target was left out, or, for an event, a part that nobody told."""
    if world.rng.random() < 0.12:
        stranger = world.subject()
        return world.fact(stranger, world.relation_for(stranger))
    if target.event is not None:
        return world.event_fact(
            target.event, world.rng.choice(("agent", "object", *target.event.parts, world.rng.choice(list(ADVERBS))))
        )
    assert target.subject is not None
    assert target.relation is not None
    return world.fact(target.subject, target.relation)


def _finished(
    rng: Random, level: Level, world: World, target: Target, passages: list[Passage], is_told: bool
) -> Example | None:
    sentences = [sentence for passage in passages for sentence in passage.sentences]
    gold: Sentence | None = None
    if is_told:
        fact, gold = _told(rng, target, sentences)
    else:
        fact = _missing(world, target)
    is_quote = rng.random() < level.quotes
    question = asking.quoting(rng, fact.ask()) if is_quote else fact.ask()
    sources = tuple(Source(passage.title, passage.text) for passage in passages)
    system, earlier = system_text(rng, level, world), turns(rng, level, world)
    return Example.made(
        question,
        sources,
        evidence=gold.text if gold else None,
        answer=fact.answer,
        is_quote=is_quote,
        system=system,
        turns=earlier,
        sentences=tuple(sentence.text for sentence in sentences),
        asked=(fact.subject, fact.relation),
        facts=tuple((told.subject, told.relation, told.answer) for sentence in sentences for told in sentence.facts),
    )


def _told(rng: Random, target: Target, sentences: list[Sentence]) -> tuple[Fact, Sentence]:
    if target.event is not None:
        key = f"{target.event.verb} {target.event.thing}".lower()
        sentence = next(one for one in sentences if any(fact.subject == key for fact in one.facts))
        return sentence.facts[int(rng.random() * len(sentence.facts))], sentence
    assert target.subject is not None
    assert target.relation is not None
    asked = (target.subject.key, target.relation.name)
    return next((fact, one) for one in sentences for fact in one.facts if (fact.subject, fact.relation) == asked)


def system_text(rng: Random, level: Level, world: World) -> str:
    """Write a system message, or none."""
    if rng.random() >= level.system:
        return ""
    return " ".join(world.filled(SYSTEM) for _ in range(rng.randint(1, 2)))


def turns(rng: Random, level: Level, world: World) -> tuple[Turn, ...]:
    """Write an earlier question with its answer, or nothing."""
    if rng.random() >= level.turns:
        return ()
    if rng.random() < 0.3:
        asked, answered = rng.choice(SMALL_TALK)
        return (Turn("user", asked), Turn("assistant", answered))
    subject = world.subject()
    relation = world.relation_for(subject)
    answer = UNANSWERABLE if rng.random() < 0.2 else world.value(relation)
    return (Turn("user", world.fact(subject, relation).ask()), Turn("assistant", answer))
