"""Examples from pages that were written by hand: facts of one page told among those of others."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from hrm_model.template import Source
from hrm_model.training.grounded import asking, names
from hrm_model.training.grounded.generate import Example, Level, Split, system_text, turns
from hrm_model.training.grounded.pages import SLOT, Entry, Page, Slot, expand_around_slots, pages
from hrm_model.training.grounded.passages import FILLERS
from hrm_model.training.grounded.subjects import Subjects
from hrm_model.training.grounded.values import VALUES
from hrm_model.training.grounded.world import World

PAGES = Level(
    "pages",
    passages=(1, 4),
    sentences=(1, 4),
    unanswerable=0.3,
    titles=0.75,
    quotes=0.12,
    system=0.1,
    turns=0.06,
    fillers=0.08,
    near=0.5,
    lists=0.12,
    max_words=120,
)
# The same where hardly anything stands around the fact: three times as many questions to as many tokens.
SHORT_PAGES = replace(PAGES, name="page", passages=(1, 2), sentences=(1, 3), max_words=60)
# The unanswerable: up to here, a question that the page's author wrote as one that it does not answer;
_ASKS_BESIDE = 0.55
# up to here, a fact's question without the fact; the rest asks about a page that is not shown.
_LEAVES_OUT = 0.9
_SPLITS_THE_PAGE = 0.3


def page_examples(seed: int, level: Level, split: Split) -> Iterator[Example]:
    """Yield examples without end; equal arguments give equal examples.

    `names` fills known pages with invented words that training never meets, `wordings` draws pages that it never reads.
    """
    rng = Random(f"{seed} {level.name} {split}")
    writer = _Writer(rng, level, Subjects(split == "names"), pages(split == "wordings"))
    while True:
        yield writer.example()


@dataclass(frozen=True, slots=True)
class _Told:
    """A fact as it stands in a passage: the sentence, and the value that was drawn for each slot."""

    page: Page
    entry: Entry
    text: str
    drawn: dict[str, str]

    @property
    def values(self) -> dict[str, str]:
        """Each slot's value as it is spelt there: one that opens the sentence is capitalised."""
        return {
            name: value if value in self.text else value[0].upper() + value[1:] for name, value in self.drawn.items()
        }


class _Values:
    """The values of one page, each different from all others, so that none answers two questions."""

    def __init__(self, rng: Random, words: names.Words) -> None:
        self._rng, self._words = rng, words
        self._used: set[str] = set()
        self._of_page: dict[str, str] = {}

    def of_page(self, kind: str) -> str:
        if kind not in self._of_page:
            self._of_page[kind] = self.draw(Slot(kind, kind))
        return self._of_page[kind]

    def draw(self, slot: Slot) -> str:
        """Draw a value; only where options run out may one come twice."""
        for _ in range(10):
            value = self._rng.choice(slot.options) if slot.options else VALUES[slot.kind](self._rng, self._words)
            if value not in self._used:
                break
        self._used.add(value)
        return value


class _Writer:
    def __init__(self, rng: Random, level: Level, subjects: Subjects, drawn_from: Sequence[Page]) -> None:
        self._rng, self._level = rng, level
        self._subjects, self._pages = subjects, drawn_from
        self._by_area: dict[str, list[Page]] = {}
        for page in drawn_from:
            self._by_area.setdefault(page.area, []).append(page)

    def example(self) -> Example:
        """Write one: choose page and question, tell some of the page's facts, and others around them."""
        rng, level = self._rng, self._level
        page = rng.choice(self._pages)
        values = _Values(rng, self._subjects.words)
        entry = rng.choice(page.entries)
        target = self._tell(page, entry, values)
        is_told, roll = rng.random() >= level.unanswerable, rng.random()
        name, wording = rng.choice(entry.asked)
        if not is_told and roll < _ASKS_BESIDE:
            name, wording = "", rng.choice(page.unanswered)
        is_shown = is_told or roll < _LEAVES_OUT
        question = self._question(wording, target, values)
        passages, told = self._passages(page, values, target if is_told or not name else None, entry, is_shown)
        is_quote = rng.random() < level.quotes
        world = World(rng, self._subjects, False, 0.0)
        system, earlier = system_text(rng, level, world), turns(rng, level, world)
        question = asking.quoting(rng, question) if is_quote else question
        return Example.made(
            question,
            passages,
            evidence=target.text if is_told else None,
            answer=target.values.get(name, ""),
            is_quote=is_quote,
            system=system,
            turns=earlier,
            sentences=tuple(one.text for one in told),
            asked=(page.title, entry.said[0] + name if name else wording),
            facts=tuple(
                (one.page.title, one.entry.said[0] + slot, value) for one in told for slot, value in one.values.items()
            ),
        )

    def _passages(
        self, page: Page, values: _Values, target: _Told | None, asked: Entry, is_shown: bool
    ) -> tuple[tuple[Source, ...], list[_Told]]:
        """Write the passages, in any order: the page's own, in one piece or two, and those of other pages."""
        rng, level = self._rng, self._level
        count = rng.randint(*level.passages)
        told: list[_Told] = []
        written: list[Source] = []
        room = level.max_words
        if is_shown:
            own = [entry for entry in page.entries if entry is not asked]
            others = rng.sample(own, min(len(own), rng.randint(*level.sentences) - (target is not None)))
            told = [self._tell(page, entry, values) for entry in others]
            if target is not None:
                told.insert(rng.randint(0, len(told)), target)
            cut = rng.randint(1, len(told)) if count > 1 and rng.random() < _SPLITS_THE_PAGE else len(told)
            written = [self._passage(page, values, part) for part in (told[:cut], told[cut:]) if part]
            room -= sum(len(source.text.split()) for source in written)
        shown = [page]
        while len(written) < count and room > 0:
            other = self._beside(shown)
            shown.append(other)
            theirs = _Values(rng, self._subjects.words)
            size = min(rng.randint(*level.sentences), len(other.entries))
            sentences = [self._tell(other, entry, theirs) for entry in rng.sample(other.entries, size)]
            source = self._passage(other, theirs, sentences)
            room -= len(source.text.split())
            if room > 0 or not written:
                written.append(source)
                told += sentences
        rng.shuffle(written)
        return tuple(written), told

    def _beside(self, shown: Sequence[Page]) -> Page:
        """Draw a page that is not shown yet, often of the first one's area."""
        near = self._by_area[shown[0].area]
        while True:
            other = self._rng.choice(near if self._rng.random() < self._level.near else self._pages)
            if other not in shown:
                return other

    def _passage(self, page: Page, values: _Values, told: Sequence[_Told]) -> Source:
        rng, level = self._rng, self._level
        sentences = [one.text for one in told]
        if rng.random() < level.fillers:
            sentences.insert(rng.randint(0, len(sentences)), rng.choice(FILLERS))
        text = "\n".join(f"- {one}" for one in sentences) if rng.random() < level.lists else " ".join(sentences)
        title = self._filled(rng.choice(expand_around_slots(page.title)), {}, values)
        roll = rng.random()
        if roll >= level.titles:
            return Source("", f"{title}\n{text}" if rng.random() < 0.3 else text)
        return Source(f"{rng.randrange(1, 30)}. {title}" if roll < 0.08 else title, text)

    def _tell(self, page: Page, entry: Entry, values: _Values) -> _Told:
        drawn = {name: values.draw(slot) for name, slot in entry.slots.items()}
        line = self._rng.choice(expand_around_slots(self._rng.choice(entry.said)))
        text = self._filled(line, drawn, values)
        return _Told(page, entry, text[0].upper() + text[1:], drawn)

    def _question(self, wording: str, target: _Told, values: _Values) -> str:
        rng = self._rng
        text = self._filled(rng.choice(expand_around_slots(wording)), target.drawn, values)
        is_keywords = text[0].islower()
        if not is_keywords or rng.random() < 0.4:
            text = text[0].upper() + text[1:]
            text += "" if text[-1] in ".?!" else "?"
        return asking.as_typed(rng, text)

    def _filled(self, line: str, drawn: dict[str, str], values: _Values) -> str:
        def fill(found: "re.Match[str]") -> str:
            name = found[1].partition(":")[0]
            return values.of_page(name[1:]) if name.startswith("@") else drawn[name]

        return SLOT.sub(fill, line)
