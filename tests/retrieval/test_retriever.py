"""retrieval.retriever: what is ranked, what is collapsed, and that `k` are found wherever there are `k`."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from retrieval.embedder import Vectors
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.retriever import CANDIDATES
from retrieval.types import Fusion, Passage
from tests.retrieval.desk import ANNA, WordsEmbedder, texts, write

pytestmark = pytest.mark.anyio


async def fill(library: Library, folder: Path, *contents: str) -> None:
    paths = [write(folder, f"{number:03}.txt", text) for number, text in enumerate(contents)]
    for outcome in await library.ingest_all(paths, store="shop", reader=ANNA):
        assert not isinstance(outcome, Exception)


async def find(library: Library, query: str, k: int, fusion: Fusion | None = None) -> list[Passage]:
    return list((await library.search(query, stores=["shop"], k=k, reader=ANNA, fusion=fusion)).passages)


async def test_copies_do_not_crowd_out_what_else_there_is(library: Library, tmp_path: Path) -> None:
    copies = "\n\n".join(f"## Part {number}\n\nThe car park closes at nine." for number in range(2 * CANDIDATES))
    rest = "## Garden\n\nThe garden opens at six.\n\n## Bicycles\n\nA bicycle may stand anywhere."
    path = write(tmp_path, "rules.md", f"# Rules\n\n{copies}\n\n{rest}")
    await library.ingest(path, store="shop", reader=ANNA)

    found = await find(library, "when does the car park close", 3)

    assert len(found) == 3
    assert found[0].text == "The car park closes at nine."
    assert {"The garden opens at six.", "A bicycle may stand anywhere."} == set(texts(found[1:]))


async def test_one_other_digit_is_another_passage(library: Library, tmp_path: Path) -> None:
    await fill(library, tmp_path, "Staff get 20 days.", "Staff get 25 days.", "staff get 20 days")

    assert len(await find(library, "staff days", 9)) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The car park closes at nine.", "Car park closes at nine"),
        ("Please lock the gate.", "Also lock the gate!"),
    ],
)
async def test_what_differs_in_articles_and_courtesy_is_the_same_passage(
    library: Library, tmp_path: Path, one: str, other: str
) -> None:
    await fill(library, tmp_path, one, other)

    assert len(await find(library, "car park gate", 9)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Keep it at 5 degrees.", "Keep it at -5 degrees."),
        ("A fee of 5 applies.", "A fee of 5% applies."),
        ("The gate is locked.", "The gate is not locked."),
        ("The gate is locked.", "The gate A is locked."),
        ("Anna locks the gate.", "Berta locks the gate."),
        ("Guests may use the gate.", "Guests must use the gate."),
        ("The gate opens at dusk.", "The gate closes at dusk."),
    ],
)
async def test_a_sign_a_name_a_denial_or_another_word_makes_another_passage(
    library: Library, tmp_path: Path, one: str, other: str
) -> None:
    await fill(library, tmp_path, one, other)

    assert len(await find(library, "gate fee degrees", 9)) == 2


async def test_weights_decide_between_meaning_and_wording(library: Library, tmp_path: Path) -> None:
    rare = "HX-204 " + " ".join(f"word{number}" for number in range(20))
    await fill(library, tmp_path, "fee fee fee fee", rare, "another fee for another thing")

    by_meaning = await find(library, "fee HX-204", 1, Fusion(1, 0))
    by_wording = await find(library, "fee HX-204", 1, Fusion(0, 1))

    assert texts(by_meaning) == ["fee fee fee fee"]
    assert texts(by_wording) == [rare]


async def test_a_search_may_bring_its_own_weights_and_keeps_all_else(tmp_path: Path) -> None:
    asked, found = "harbour closes dusk", []
    async with open_library(tmp_path / "data", WordsEmbedder(), fusion=Fusion(late_interaction=2)) as library:
        await fill(library, tmp_path, "harbour harbour closes closes", "the harbour closes at dusk in winter")
        for weights in ((0.0, 1.0), None):
            found.append(await library.search(asked, stores=["shop"], k=2, reader=ANNA, weights=weights))
        by_hand = await find(library, asked, 2, Fusion(0, 1, late_interaction=2))

    assert list(found[0].passages) == by_hand
    assert found[0].passages[0].score != found[1].passages[0].score


async def test_late_interaction_finds_the_passage_that_meets_every_token(library: Library, tmp_path: Path) -> None:
    """One passage says half of what is asked very often, the other all of it once among much else."""
    all_of_it = "harbour closes dusk " + " ".join(f"word{number}" for number in range(30))
    await fill(library, tmp_path, "harbour harbour closes closes", all_of_it)

    before = await find(library, "harbour closes dusk", 2, Fusion(1, 0))
    after = await find(library, "harbour closes dusk", 2, Fusion(1, 0, late_interaction=2))

    assert texts(before)[1] == texts(after)[0] == all_of_it
    assert after[0].score > 0.7
    assert all(0 <= passage.score <= 1 for passage in after)


async def test_late_interaction_leaves_out_nothing_that_was_asked_for(library: Library, tmp_path: Path) -> None:
    await fill(library, tmp_path, *(f"harbour number{number}" for number in range(8)))

    assert len(await find(library, "harbour", 6, Fusion(late_interaction=2))) == 6


async def test_a_threshold_is_held_against_the_score_that_is_returned(library: Library, tmp_path: Path) -> None:
    await fill(library, tmp_path, "harbour closes", "something else entirely")

    hits = await library.search(
        "harbour", stores=["shop"], k=2, reader=ANNA, score_threshold=0.3, fusion=Fusion(late_interaction=2)
    )

    assert texts(hits.passages) == ["harbour closes"]


@pytest.mark.parametrize("query", ["\0", "car\0park", "the car\0 park", "\0car", "car\x1a\x7fpark", '"car\0"'])
async def test_a_control_character_in_a_query_is_no_failure(library: Library, tmp_path: Path, query: str) -> None:
    await fill(library, tmp_path, "The car park closes at nine.")

    assert len(await find(library, query, 3)) == 1


async def test_a_nul_parts_words_as_a_blank_does(library: Library, tmp_path: Path) -> None:
    await fill(library, tmp_path, "The car park closes at nine.", "The garden opens at six.")

    assert await find(library, "car\0park", 3) == await find(library, "car park", 3)


class Wordless(WordsEmbedder):
    """Sees no token in a text without letters, as the bundled embedder does."""

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        return [self.embed(re.findall(r"[a-z]+", text)) for text in texts]


async def test_late_interaction_leaves_a_passage_or_a_question_without_tokens_where_it_is(tmp_path: Path) -> None:
    late = Fusion(0.7, 0.3, late_interaction=20)
    async with open_library(tmp_path / "data", Wordless(), fusion=late) as library:
        await fill(library, tmp_path, "the car park closes at nine")
        path = write(tmp_path, "\ufffd.txt", "42")
        await library.ingest(path, store="shop", reader=ANNA)

        assert texts(await find(library, "when does the car park close", 2)) == ["the car park closes at nine", "42"]
        assert texts(await find(library, "42", 2))[0] == "42"
