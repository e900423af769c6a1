"""retrieval.chunking: exact spans, nothing lost, nothing too long, cut where a reader would pause."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retrieval.chunking import HEADING_CHARS, MAX_TOKENS, TARGET_TOKENS, Chunk, Count, TooManyChunks, cut
from retrieval.embedder import MiniLM
from retrieval.overlap import cut_as_asked
from retrieval.parse import parse
from retrieval.parsed import Heading, Parsed, Place
from retrieval.types import Chunking


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def plain(text: str) -> Parsed:
    return Parsed("Title", text)


def guide(text: str) -> Parsed:
    return parse(Path("guide.md"), text.encode())


def shown(parsed: Parsed, chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.title, parsed.text[chunk.start : chunk.end]) for chunk in chunks]


def sentences(count: int, each: int = 10) -> str:
    return " ".join(f"S{number} " + "word " * (each - 2) + "end." for number in range(count))


def test_short_paragraphs_of_one_heading_are_merged_up_to_the_target() -> None:
    parsed = plain("\n\n".join(["word " * 40 + "end."] * 3))

    assert words([text for _, text in shown(parsed, cut(parsed, words))]) == [82, 41]


def test_a_run_without_an_end_is_cut_and_hides_none_of_its_neighbours(embedder: MiniLM) -> None:
    before, after = "The pump was replaced in March.", "The boiler was inspected by Karl Otto in August."
    parsed = plain(f"{before}\n\n{'0123456789abcdef' * 2_000}\n\n{after}")

    found = [text for _, text in shown(parsed, cut(parsed, embedder.count))]

    assert max(map(len, found)) <= 17 * MAX_TOKENS
    assert len(found) > 32_000 / (17 * MAX_TOKENS)
    assert any(before in text and len(text) < 1_700 for text in found)
    assert any(after in text and len(text) < 1_700 for text in found)


def test_paragraphs_are_never_merged_across_headings() -> None:
    parsed = guide("# Guide\n\nIntro.\n\n## A\n\nOne.\n\nTwo.\n\n## B\n\nThree.")

    assert shown(parsed, cut(parsed, words)) == [
        ("Guide", "Intro."),
        ("Guide: A", "One.\n\nTwo."),
        ("Guide: B", "Three."),
    ]


def test_a_paragraph_up_to_the_limit_stays_whole() -> None:
    parsed = plain(sentences(22))

    assert words([parsed.text]) == [MAX_TOKENS]
    assert len(cut(parsed, words)) == 1


def test_a_longer_paragraph_is_cut_between_sentences_into_even_portions() -> None:
    parsed = plain(sentences(30))

    found = [text for _, text in shown(parsed, cut(parsed, words))]

    assert words(found) == [150, 150]
    assert all(text.endswith("end.") for text in found)


def test_a_longer_sentence_is_cut_between_words_and_a_longer_word_anywhere() -> None:
    long_sentence, long_word = plain("word " * 500), plain("x" * 1000)

    assert max(words([text for _, text in shown(long_sentence, cut(long_sentence, words))])) <= MAX_TOKENS
    by_letter = cut(long_word, lambda texts: [len(text) for text in texts])
    assert max(chunk.end - chunk.start for chunk in by_letter) <= MAX_TOKENS


def test_abbreviations_and_numbers_do_not_end_a_sentence() -> None:
    text = "Dr. Meyer pays 3.50 euros, e.g. for No. 7, and J. Smith agrees. " * 20
    parsed = plain(text.strip())

    assert all(found.endswith("agrees.") for _, found in shown(parsed, cut(parsed, words)))


def test_a_heading_without_text_of_its_own_stands_in_the_titles_below_it() -> None:
    parsed = guide("# Guide\n\n## Claims\n\n### Deadlines\n\nSeven days.\n\n## Fees\n\nNone.")

    assert shown(parsed, cut(parsed, words)) == [("Guide: Claims: Deadlines", "Seven days."), ("Guide: Fees", "None.")]


def test_a_heading_with_nothing_below_it_is_a_chunk_of_its_own() -> None:
    parsed = guide("# Guide\n\n## Closed on Mondays\n\n## Fees\n\nNone.\n\n## Ends here")

    assert shown(parsed, cut(parsed, words)) == [
        ("Guide", "Closed on Mondays"),
        ("Guide: Fees", "None."),
        ("Guide", "Ends here"),
    ]


def test_a_bare_heading_is_carried_even_by_one_that_repeats_the_title() -> None:
    parsed = guide("# Guide\n\nText.\n\n## Claims\n\n### Guide")

    assert shown(parsed, cut(parsed, words)) == [("Guide", "Text."), ("Guide: Claims", "Guide")]


def test_a_document_of_its_title_alone_has_one_chunk() -> None:
    parsed = guide("# Closed on Mondays")

    assert shown(parsed, cut(parsed, words)) == [("Closed on Mondays", "Closed on Mondays")]


def test_chunks_measure_at_most_the_limit_in_the_embedders_tokens(embedder: MiniLM) -> None:
    parsed = plain("Donaudampfschifffahrtsgesellschaft, 4711-0815/B; naïve? " * 200 + "\n\n" + "ab" * 2000)

    found = [parsed.text[chunk.start : chunk.end] for chunk in cut(parsed, embedder.count)]

    assert max(embedder.count(found)) <= MAX_TOKENS


@st.composite
def documents(draw: st.DrawFn) -> Parsed:
    """Text with headings in it, made of what real text is made of, and of what breaks splitters."""
    piece = st.sampled_from(
        [
            "word",
            "Dr.",
            "e.g.",
            "End.",
            "What?",
            "3.14",
            "。",
            "\u00e9",
            "👍🏽",
            "\n",
            "\n\n",
            "\n \n",
            " ",
            "  ",
            "\t",
            "\u00a0",
            "x" * 300,
            "long " * 250,
            "A sentence of some words. ",
        ]
    )
    parts: list[str] = []
    headings: list[Heading] = []
    for body in draw(st.lists(st.lists(piece, max_size=12).map("".join), min_size=1, max_size=6)):
        if draw(st.booleans()):
            start = sum(map(len, parts))
            name = draw(st.sampled_from(["Alpha", "Beta gamma", "Title"]))
            headings.append(Heading(start, start + len(name), draw(st.integers(1, 3))))
            parts.append(name + "\n\n")
        parts.append(body + "\n\n")
    return Parsed("Title", "".join(parts), tuple(headings))


def test_a_letter_longer_than_the_limit_is_left_whole() -> None:
    assert cut(plain("x"), lambda texts: [9 for _ in texts], max_tokens=5) == [Chunk(0, 1, "Title")]


@settings(max_examples=300, deadline=None)
@given(parsed=documents(), limit=st.integers(1, MAX_TOKENS), target=st.integers(1, TARGET_TOKENS))
def test_nothing_is_lost_and_nothing_is_twice(parsed: Parsed, limit: int, target: int) -> None:
    assume(parsed.text.strip())  # parsing refuses the others
    chunks = cut(parsed, words, max_tokens=limit, target_tokens=target)

    assert all(left.end <= right.start for left, right in pairwise(chunks))
    covered = {position for chunk in chunks for position in range(chunk.start, chunk.end)}
    for heading in parsed.headings:
        name = parsed.text[heading.start : heading.end]
        if heading.start not in covered:
            assert any(name in chunk.title and (chunk.start >= heading.end or name == parsed.title) for chunk in chunks)
            covered.update(range(heading.start, heading.end))
    assert not "".join(letter for at, letter in enumerate(parsed.text) if at not in covered).strip()
    for chunk in chunks:
        text = parsed.text[chunk.start : chunk.end]
        assert text == text.strip() != ""
        assert words([text])[0] <= limit


def on_pages(*pages: str) -> Parsed:
    starts = [sum(len(page) + 2 for page in pages[:number]) for number in range(len(pages))]
    places = tuple(Place(start, number, "page", number) for number, start in enumerate(starts, start=1))
    return Parsed("Title", "\n\n".join(pages), places=places)


def test_a_chunk_begins_where_its_page_does_and_says_which() -> None:
    parsed = on_pages("One.\n\nTwo.", "Three.")

    found = cut(parsed, words)

    assert [(parsed.text[chunk.start : chunk.end], chunk.page, chunk.locator) for chunk in found] == [
        ("One.\n\nTwo.", 1, "page 1"),
        ("Three.", 2, "page 2"),
    ]


def test_a_paragraph_that_goes_on_over_the_page_stays_whole_and_names_both_pages() -> None:
    text = "It begins here and ends there."
    parsed = Parsed("Title", text, places=(Place(0, 3, "page", 3), Place(text.index("and"), 4, "page", 4)))

    (chunk,) = cut(parsed, words)

    assert (chunk.page, chunk.locator) == (3, "pages 3–4")


def test_rows_are_merged_and_located_by_sheet_and_number() -> None:
    rows = ["Item: Card", "Item: Key", "Item: Pass"]
    text = "\n\n".join(rows)
    places = tuple(Place(text.index(row), 2, "row", number, "Fees") for number, row in enumerate(rows, start=2))

    (chunk,) = cut(Parsed("Title", text, places=places), words)

    assert (chunk.page, chunk.locator) == (2, "Fees, rows 2–4")
    assert Parsed("Title", text, places=places).locator(0, 4) == "Fees, row 2"


def test_a_chunk_of_a_format_without_pages_has_none() -> None:
    (chunk,) = cut(plain("One."), words)

    assert (chunk.page, chunk.locator) == (None, "")


def test_an_overlap_that_begins_on_the_page_before_says_so() -> None:
    text = "one two three\n\nfour five six"
    parsed = Parsed("Title", text, places=(Place(0, 1, "page", 1), Place(text.index("four"), 2, "page", 2)))

    _, second = cut_as_asked(parsed, words, Chunking(max_tokens=5, overlap_tokens=2))

    assert text[second.start : second.end] == "two three\n\nfour five six"
    assert (second.page, second.locator) == (1, "pages 1–2")


class Measuring:
    """Takes each character for a token, except a few cheap ones, and says how much it was asked to measure."""

    def __init__(self) -> None:
        self.characters = 0
        self.most = 0

    def __call__(self, texts: Sequence[str]) -> list[int]:
        self.characters += sum(map(len, texts))
        self.most = max(self.most, sum(map(len, texts)))
        return [sum(not letter.isspace() for letter in text) for text in texts]


@pytest.mark.parametrize(
    "unit", ["(", "[(", "a", "1-", "\u00e9", ".", ". ", "a\n", "a\n\n", "。", "\U0001f600", "word. ", ".)", "# a\n\n"]
)
@pytest.mark.parametrize("size", [1 << 16, 1 << 19])
def test_whatever_repeats_each_character_is_measured_a_few_times_and_few_at_once(unit: str, size: int) -> None:
    measuring = Measuring()

    cut(plain(unit * (size // len(unit))), measuring)

    assert measuring.characters <= 4 * size
    assert measuring.most <= 1 << 17


def test_what_is_uneven_is_measured_a_few_times_too() -> None:
    size = 1 << 18
    measuring = Measuring()

    chunks = cut(
        plain("".join("(" * number + "a" * (999 - number) for number in range(size // 999))), _letters(measuring)
    )

    assert measuring.characters <= 8 * size
    assert chunks[-1].end - chunks[0].start == size // 999 * 999


def _letters(measuring: Measuring) -> Count:
    """Brackets cost a token each, and a run of letters one, as an embedder has it."""

    def count(texts: Sequence[str]) -> list[int]:
        measuring(texts)
        return [text.count("(") + len(re.findall("a+", text)) for text in texts]

    return count


def test_a_heading_too_long_to_be_said_with_each_chunk_is_text() -> None:
    long = "x " * HEADING_CHARS
    text = f"{long}\n\n" + "\n\n".join(f"a{number}\n\nb{number}" for number in range(50))
    headings = [Heading(text.index(f"a{number}\n"), text.index(f"a{number}\n") + 2, 2) for number in range(9)]

    chunks = cut(Parsed(long, text, (Heading(0, len(long), 1), *headings)), words)

    assert text[chunks[0].start : chunks[0].end].startswith("x x")
    assert max(len(chunk.title) for chunk in chunks) <= 2 * HEADING_CHARS + 4


def test_headings_without_text_add_up_to_no_long_title() -> None:
    names = [f"{level} " + "h" * (HEADING_CHARS - 2) for level in range(1, 7)]
    text = "\n\n".join([*names, "Text."])
    headings = tuple(
        Heading(text.index(name), text.index(name) + len(name), level) for level, name in enumerate(names, start=1)
    )

    parsed = Parsed("Title", text, headings)

    found = shown(parsed, cut(parsed, words))

    assert max(len(title) for title, _ in found) <= 3 * HEADING_CHARS
    said = "".join(title + body for title, body in found)
    assert all(name in said for name in names)


def test_a_text_of_too_many_chunks_is_given_up_as_soon_as_that_is_seen() -> None:
    measuring = Measuring()
    text = "a\n\n" * 100_000

    with pytest.raises(TooManyChunks, match="more than 10 passages"):
        cut(plain(text), measuring, most=10)

    assert measuring.characters < len(text) / 10
