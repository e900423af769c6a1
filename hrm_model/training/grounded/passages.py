"""Passages: sentences about one subject or about many, as prose, lists or small tables, under all sorts of titles."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from hrm_model.training.grounded.clauses import Clause
from hrm_model.training.grounded.relations import Relation
from hrm_model.training.grounded.subjects import Subject
from hrm_model.training.grounded.world import Sentence, World, joined

FILLERS = (
    "Please read this page carefully.", "Further details will follow.", "This page is reviewed from time to time.", "We thank everyone for their help.",
    "Not every case is the same.", "Everybody is welcome to make suggestions.", "The rules have been simplified.", "Most questions can be answered quickly.",
    "Good preparation saves everyone trouble.", "The following applies to all of us.", "Older versions of this page are no longer valid.", "Ask if anything is unclear.",
    "Some details are still being discussed.", "Nothing in this section replaces the contract.", "The weather was fine for most of the week.", "Many people were surprised.",
    "A short summary is given below.", "Exceptions are rare.", "Thank you for your patience.", "The list is not complete.", "It has been a busy season.",
    "This is explained in more detail elsewhere.", "There were several reasons for this.", "In the past this was handled differently.", "Safety comes first.",
    "Our aim is to be fair to everyone.", "The matter was discussed at length.", "Changes are announced in good time.", "The text uses plain language on purpose.",
)  # fmt: skip
TOPICS = (
    "General rules", "Overview", "Notes", "Frequently asked questions", "What you should know", "Details", "Background", "News", "Summary", "Who, what and when",
    "Terms and conditions", "Practical information", "Guidelines", "Records", "Minutes", "Facts and figures", "In brief", "Useful information", "Handbook", "Bulletin",
    "Conditions", "Instructions", "Directory", "Appendix", "Fees and deadlines", "People", "Places", "Everyday matters", "Announcements", "Report",
)  # fmt: skip

LINKS = (", and ", "; ", ", while ", ", but ", ", whereas ", " and ", ", and at the same time ")


@dataclass(slots=True)
class Passage:
    """A passage as it will be read, and its sentences."""

    title: str
    sentences: list[Sentence] = field(default_factory=list)
    divider: str = " "
    opening: str = ""
    bullet: str = ""

    @property
    def text(self) -> str:
        """The passage's text."""
        body = self.divider.join(f"{self.bullet}{sentence.text}" for sentence in self.sentences)
        return f"{self.opening}{body}"


@dataclass(frozen=True, slots=True)
class Target:
    """What an example asks for: a subject's relation, or one part of an event."""

    subject: Subject | None = None
    relation: Relation | None = None
    event: Clause | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """How passages are written: the chances of each device."""

    titles: float
    fillers: float
    near: float
    lists: float
    back: float = 0.5
    events: float = 0.25
    joins: float = 0.15


class Writer:
    """Writes the passages of one example around its target."""

    def __init__(self, world: World, manner: Manner, target: Target) -> None:
        self.world = world
        self.rng: Random = world.rng
        self.manner = manner
        self.target = target

    def write(self, count: int, holds_target: bool) -> Passage:
        """Write a passage of `count` sentences, one of which tells the target if it holds it."""
        target, roll = self.target, self.rng.random()
        if target.subject is None or target.relation is None or roll < 0.35 or (not holds_target and roll < 0.6):
            return self._mixed(count, self._target_sentence() if holds_target else None)
        if self.rng.random() < self.manner.lists and count > 1:
            return self._listing(count, holds_target)
        if holds_target:
            return self._about(target.subject, count, target.relation, holds_target=True)
        required = target.relation if self.rng.random() < self.manner.near else None
        return self._about(self._other_subject(), count, required, holds_target=False)

    def write_beside(self, count: int, sentence: Sentence | None) -> Passage:
        """Write a passage without the target; with `sentence` it holds that one among others."""
        return self._mixed(count, sentence) if sentence is not None else self.write(count, False)

    def _other_subject(self) -> Subject:
        target = self.target
        if target.subject is not None and self.rng.random() < self.manner.near:
            return self.world.subjects.near(self.rng, target.subject)
        return self.world.subject()

    def _about(self, subject: Subject, count: int, required: Relation | None, *, holds_target: bool) -> Passage:
        """Write about one subject: named first or in the title, then referred back to."""
        rng, world = self.rng, self.world
        title = self._title(subject)
        named = bool(title) and subject.bare.lower() in title.lower()
        place = int(rng.random() * count)
        passage = Passage(title, opening=self._opening(title))
        for index in range(count):
            if index != place and rng.random() < self.manner.fillers:
                passage.sentences.append(self._filler())
                continue
            wants = index == place and required is not None and (holds_target or world.admits(subject, required))
            relation = required if wants and required is not None else world.relation_for(subject)
            passage.sentences.append(world.tell(subject, relation, back=named and rng.random() < self.manner.back))
            named = True
        if rng.random() < self.manner.joins:
            self._join(passage)
        return passage

    def _mixed(self, count: int, told: Sentence | None) -> Passage:
        """Write sentences that each have a subject of their own."""
        rng = self.rng
        place = int(rng.random() * count)
        title = self._title(None)
        passage = Passage(title, opening=self._opening(title))
        for index in range(count):
            if index == place and told is not None:
                passage.sentences.append(told)
            elif rng.random() < self.manner.fillers:
                passage.sentences.append(self._filler())
            else:
                passage.sentences.append(self.distractor())
        if rng.random() < self.manner.joins:
            self._join(passage)
        return passage

    def _target_sentence(self) -> Sentence:
        target = self.target
        if target.event is not None:
            return self.world.tell_event(target.event)
        assert target.subject is not None
        assert target.relation is not None
        return self.world.tell(target.subject, target.relation)

    def distractor(self) -> Sentence:
        """Write one sentence that is not the target, often close to it."""
        rng, world, target = self.rng, self.world, self.target
        is_near = rng.random() < self.manner.near
        if target.event is not None:
            if is_near or rng.random() < self.manner.events:
                return world.tell_event(world.event(like=target.event if is_near else None))
        elif is_near and target.subject is not None and target.relation is not None:
            roll = rng.random()
            if roll < 0.35:
                return world.tell(target.subject, world.relation_for(target.subject))
            other = world.subject_for(target.relation, target.subject if roll < 0.7 else None)
            if other is not None:
                return world.tell(other, target.relation)
        if rng.random() < self.manner.events:
            return world.tell_event(world.event())
        subject = world.subject()
        return world.tell(subject, world.relation_for(subject))

    def _listing(self, count: int, holds_target: bool) -> Passage:
        """Write rows: one relation over several subjects, or one subject's relations."""
        rng, world, target = self.rng, self.world, self.target
        assert target.subject is not None
        assert target.relation is not None
        divider, bullet = rng.choice(((": ", "- "), (": ", ""), (" | ", ""), (": ", "* "), (" - ", "")))
        rows: list[Sentence] = []
        if rng.random() < 0.5:
            relation = target.relation
            subjects = [target.subject] if holds_target else []
            while len(subjects) < count:
                subject = world.subject_for(relation, target.subject if rng.random() < self.manner.near else None)
                if subject is not None and all(subject.key != other.key for other in subjects):
                    subjects.append(subject)
            rows = [world.row(subject, relation, subject.bare, divider) for subject in subjects]
            heading = rng.choice(
                (relation.label, f"{relation.label} by case", f"list: {relation.label}", f"{relation.label} overview")
            )
            heading = heading[0].upper() + heading[1:]
            if divider == " | " and rng.random() < 0.5:
                return Passage(
                    "", _shuffled(rng, rows), "\n", f"Name | {relation.label[0].upper()}{relation.label[1:]}\n"
                )
        else:
            subject = target.subject if holds_target else self._other_subject()
            relations = [target.relation] if holds_target else []
            for relation in relations:
                rows.append(world.row(subject, relation, relation.label, divider))
            while len(rows) < count:
                relation = world.relation_for(subject)
                rows.append(world.row(subject, relation, relation.label, divider))
            heading = subject.bare[0].upper() + subject.bare[1:]
        rows = _shuffled(rng, rows)
        if rng.random() < 0.5:
            return Passage(heading, rows, "\n", bullet=bullet)
        return Passage("", rows, "\n", f"{heading}\n" if rng.random() < 0.7 else f"{heading}:\n", bullet)

    def _title(self, subject: Subject | None) -> str:
        rng = self.rng
        if rng.random() >= self.manner.titles:
            return ""
        if subject is not None and rng.random() < 0.7:
            name = subject.bare[0].upper() + subject.bare[1:]
        elif rng.random() < 0.6:
            name = TOPICS[int(rng.random() * len(TOPICS))]
        else:
            bare = self.world.subjects.draw(rng, ("thing", "event", "mass", "company", "place")).bare
            name = bare[0].upper() + bare[1:]
        roll = rng.random()
        if roll < 0.12:
            return f"Section {rng.randrange(1, 30)}: {name}"
        if roll < 0.18:
            return f"{rng.randrange(1, 12)}.{rng.randrange(1, 9)} {name}"
        return f"{TOPICS[int(rng.random() * len(TOPICS))]} - {name}" if roll < 0.24 else name

    def _opening(self, title: str) -> str:
        """A heading inside the text, now and then."""
        rng = self.rng
        if title or rng.random() >= self.manner.titles * 0.2:
            return ""
        return TOPICS[int(rng.random() * len(TOPICS))] + rng.choice(("\n", ":\n", ". ", "\n\n"))

    def _filler(self) -> Sentence:
        return Sentence(FILLERS[int(self.rng.random() * len(FILLERS))])

    def _join(self, passage: Passage) -> None:
        """Make one sentence of two neighbours, so that it tells several facts."""
        for index in range(len(passage.sentences) - 1):
            first, second = passage.sentences[index : index + 2]
            if first.clause and second.clause:
                link = LINKS[int(self.rng.random() * len(LINKS))]
                passage.sentences[index : index + 2] = [joined(first, link, second)]
                return


def _shuffled(rng: Random, rows: Sequence[Sentence]) -> list[Sentence]:
    return rng.sample(rows, len(rows))
