"""Pages written by hand: facts in somebody's own words, and questions in somebody else's.

Relations say everything in a few dozen ways. Here each fact has a wording of its own, so that a reader has to find what
means the same instead of what is built the same. The files beside this one (`pages/*.txt`) hold blocks of lines:

    # Changing your address                    a page begins
    = Whoever moves informs {department}.      a fact begins, with its slots; `~` adds another wording of it
    department? Who needs to know my address?  asks for one slot; other slots may stand in the question
    ! Who pays the van?                        what a reader may well ask here, and no fact tells

A slot is `{type}`, `{name:type}` or `{name:this|that|...}`; `{@type}` is drawn once for the whole page. `[this|that]`
are alternatives, as in all wordings.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from zlib import crc32

from hrm_model.training.grounded.values import VALUES
from hrm_model.training.grounded.wording import expand

FOLDER = Path(__file__).with_name("pages")
HELD_OUT_OF = 8  # one page in eight is never seen in training
SLOT = re.compile(r"\{([^{}]*)\}")
_QUESTION = re.compile(r"([a-z0-9_]+)\? (.+)")


@dataclass(frozen=True, slots=True)
class Slot:
    """A gap in a wording: its name in the fact, and what may fill it: a type of value, or one of several options."""

    name: str
    kind: str
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact of a page: how it is said, and what is asked about which of its slots."""

    slots: Mapping[str, Slot]
    said: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: the file it stands in, its title, its facts, and questions that none of them answers."""

    area: str
    title: str
    entries: list[Entry] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    @property
    def is_held_out(self) -> bool:
        """Say whether training never sees the page. Its title decides, so that adding pages moves none across."""
        return crc32(self.title.encode()) % HELD_OUT_OF == 0


def slots(text: str) -> Mapping[str, Slot]:
    """Read a wording's own slots by name, and look at those of its page.

    Raises:
        ValueError: a type that no value has, a name that stands twice, or a slot within a slot.
    """
    if set("{}") & set(SLOT.sub("", text)):
        raise ValueError("braces do not pair, or stand within a slot")
    found: dict[str, Slot] = {}
    for inner in SLOT.findall(text):
        name, _, kind = inner.partition(":")
        options = tuple(kind.split("|")) if "|" in kind else ()
        if not options and (kind or name.removeprefix("@")) not in VALUES:
            raise ValueError(f"{{{inner}}}: there is no such type")
        if name in found:
            raise ValueError(f"{{{inner}}}: the name stands twice")
        if not name.startswith("@"):
            found[name] = Slot(name, kind or name, options)
    return found


def parse(text: str, area: str) -> Sequence[Page]:
    """Read a file of pages.

    Raises:
        ValueError: names the line that cannot be read and says why.
    """
    pages: list[Page] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                _take(line.strip(), pages, area)
            except ValueError as error:
                raise ValueError(f"{area}, line {number}: {error}") from error
    return pages


def _take(line: str, pages: list[Page], area: str) -> None:
    mark, _, rest = line.partition(" ")
    if mark == "#":
        pages.append(Page(area, rest))
        return
    if not pages:
        raise ValueError("no page has begun")
    page = pages[-1]
    if mark == "=":
        page.entries.append(Entry(slots(rest), [rest]))
    elif mark == "!":
        if slots(rest):
            raise ValueError("a question without an answer has no fact to take slots from")
        page.unanswered.append(rest)
    elif not page.entries:
        raise ValueError("no fact has begun")
    elif mark == "~":
        if slots(rest) != page.entries[-1].slots:
            raise ValueError("another wording of a fact has the same slots as the first")
        page.entries[-1].said.append(rest)
    elif found := _QUESTION.fullmatch(line):
        _ask(page.entries[-1], found[1], found[2])
    else:
        raise ValueError(f"{line[:40]!r} is neither page, fact, wording nor question")


def _ask(entry: Entry, name: str, question: str) -> None:
    if name not in entry.slots:
        raise ValueError(f"the fact has no slot {name!r}")
    given = {inner for inner in SLOT.findall(question) if not inner.startswith("@")}
    if not given <= entry.slots.keys() - {name}:
        raise ValueError("a question may hold the fact's other slots, and not the one that it asks for")
    entry.asked.append((name, question))


@cache
def pages(held_out: bool) -> Sequence[Page]:
    """List the pages of one side."""
    found = [
        page for path in sorted(FOLDER.glob("*.txt")) for page in parse(path.read_text(encoding="utf-8"), path.stem)
    ]
    return tuple(page for page in found if page.is_held_out == held_out)


def page_wordings() -> Iterator[str]:
    """Yield every statement of every page, its alternatives written out."""
    for page in (*pages(False), *pages(True)):
        for entry in page.entries:
            for said in entry.said:
                yield from expand_around_slots(said)


def page_questions() -> Iterator[str]:
    """Yield every question of every page, answered there or not, its alternatives written out."""
    for page in (*pages(False), *pages(True)):
        for text in (*page.unanswered, *(question for entry in page.entries for _, question in entry.asked)):
            yield from expand_around_slots(text)


@cache
def expand_around_slots(text: str) -> Sequence[str]:
    """List what a wording can say, as `expand` does; the bars within a slot stay."""
    kept = SLOT.findall(text)
    numbered = iter(range(len(kept)))
    plain = SLOT.sub(lambda _: f"\x00{next(numbered)}\x00", text)
    return tuple(re.sub(r"\x00(\d+)\x00", lambda found: f"{{{kept[int(found[1])]}}}", one) for one in expand(plain))
