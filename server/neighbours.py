"""Passages that stand next to each other in one document, read and cited as one. Knows no prompts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from retrieval.types import Passage

# Between two paragraphs lie a blank line or two; more is something that no passage holds.
WIDEST_GAP = 8


@dataclass(frozen=True, slots=True)
class Gap:
    """A place between two passages of a document."""

    file_id: str
    sha256: str  # of the document's text
    start: int
    end: int


Between = Mapping[Gap, str]  # the text that stands there


def gaps(passages: Iterable[Passage]) -> list[Gap]:
    """What has to be known of the documents to join these passages."""
    found: list[Gap] = []
    for group in _groups(passages):
        furthest = group[0]  # one may lie within another that ends later
        for passage in group[1:]:
            gap = _gap(furthest, passage)
            if gap is not None and 0 < gap.end - gap.start <= WIDEST_GAP:
                found.append(gap)
            furthest = max(furthest, passage, key=lambda one: one.end_char)
    return found


def joined(passages: Sequence[Passage], between: Between) -> list[Passage]:
    """Make one passage of those that adjoin or overlap under one title, in the place and with the score of the better.

    What lies between them has to be blank: a passage is a span of its document, and holds nothing that was not found.
    """
    place = {id(passage): rank for rank, passage in enumerate(passages)}
    found: list[tuple[int, Passage]] = []
    for group in _groups(passages):
        ranked = [(place[id(passage)], passage) for passage in group]
        rank, whole = ranked[0]
        for next_rank, passage in ranked[1:]:
            if (text := _union(whole, passage, between)) is None:
                found.append((rank, whole))
                rank, whole = next_rank, passage
                continue
            whole = _one(whole, passage, text, is_first_better=rank <= next_rank)
            rank = min(rank, next_rank)
        found.append((rank, whole))
    return [passage for _, passage in sorted(found, key=lambda item: item[0])]


def _groups(passages: Iterable[Passage]) -> list[list[Passage]]:
    """Passages of one text and one title, by their place in it; what a caller brought stands alone."""
    groups: dict[object, list[Passage]] = {}
    for passage in passages:
        key = (passage.file_id, passage.store_id, passage.sha256, passage.title)
        groups.setdefault(key if passage.file_id else id(passage), []).append(passage)
    return [sorted(group, key=lambda passage: (passage.start_char, passage.end_char)) for group in groups.values()]


def _union(before: Passage, after: Passage, between: Between) -> str | None:
    """The text of both, from the beginning of the first on; None: they are no neighbours."""
    gap = _gap(before, after)
    if gap is None:
        return None
    if gap.end <= gap.start:
        return before.text + after.text[gap.start - gap.end :]
    lies_between = between.get(gap)
    return None if lies_between is None or lies_between.strip() else before.text + lies_between + after.text


def _gap(before: Passage, after: Passage) -> Gap | None:
    if before.file_id is None:
        return None
    return Gap(before.file_id, before.sha256, before.end_char, after.start_char)


def _one(before: Passage, after: Passage, text: str, *, is_first_better: bool) -> Passage:
    better = before if is_first_better else after
    locators = dict.fromkeys(filter(None, (before.locator, after.locator)))
    return replace(
        better,
        text=text,
        start_char=before.start_char,
        end_char=max(before.end_char, after.end_char),
        page=before.page,
        locator=", ".join(locators),
        score=max(before.score, after.score),
    )
