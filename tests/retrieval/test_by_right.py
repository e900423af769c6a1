"""retrieval.purge: what the data directory holds by right, and however it lies there, keeps no erasure open."""

from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.types import Access, Description
from tests.retrieval.canaries import canary
from tests.retrieval.desk import ANNA, WordsEmbedder, write

pytestmark = pytest.mark.anyio


async def removed(library: Library, folder: Path, text: str, name: str = "gone.txt") -> None:
    """Ingest a document and delete it again."""
    document = await library.ingest(write(folder / "going", name, text), store="shop", reader=ANNA)
    await library.delete(document.file_id, ANNA)


async def check_is_proven(library: Library) -> None:
    purge = await library.purge()

    assert purge.problem is None
    assert purge.scan is not None
    assert purge.scan.rewrites == (), "what is held by right is no reason to write the store anew"


async def test_a_live_name_of_few_characters_and_many_bytes_is_no_remain(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        with library.archive.staging() as staged:  # by no path, which would say the name at more length
            await anyio.to_thread.run_sync(staged.write, canary(1).encode())
            await library.archive.add_file(staged, filename="契約書.txt", purpose="assistants", reader=ANNA)
        await removed(library, tmp_path, canary(2), name="契約書.txt")

        await check_is_proven(library)


async def test_a_live_stores_name_of_few_characters_and_many_bytes_is_no_remain(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await library.archive.make_store(Description("Москва"), ANNA)
        await removed(library, tmp_path, "Our office in the city of Москва opens at noon.")

        await check_is_proven(library)


@pytest.mark.parametrize(
    "said",
    [
        "user:annaquux7.txt",  # a file's owner and name
        "readuser:benjamin",  # who may read, in the table
        "user:benjaminread",  # and in the index by name
        "colortextturquoise",  # an attribute, with its kind
    ],
)
async def test_what_stands_side_by_side_in_a_live_row_is_no_remain(tmp_path: Path, said: str) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        kept = await library.ingest(write(tmp_path, "quux7.txt", canary(1)), store="shop", reader=ANNA)
        await library.set_access("shop", Access(read=("user:benjamin",)), ANNA)
        await library.archive.share_file(kept.file_id, Access(read=("user:benjamin",)), ANNA)
        await library.archive.describe_held("shop", kept.file_id, {"color": "turquoise"}, ANNA)
        await removed(library, tmp_path, f"What follows is {said} in this line of the log.")

        await check_is_proven(library)


async def test_a_live_word_as_the_lexical_index_spells_it_is_no_remain(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await library.ingest(write(tmp_path, "kept.txt", "Aardvarkania lies there."), store="shop", reader=ANNA)
        await removed(library, tmp_path, "Of 40aardvarkania none is left.")

        await check_is_proven(library)


@pytest.mark.parametrize(
    "said",
    [
        "SQLite format 3",
        "CREATE INDEX by_name ON people (name)",
        "CREATE TRIGGER gone AFTER DELETE ON chunks BEGIN",
        "sqlite_autoindex_stores_1",
        "tablestoresstores",
        "with secure-delete, rows are zeroed",
    ],
)
async def test_what_every_database_says_of_itself_is_no_remain(tmp_path: Path, said: str) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await removed(library, tmp_path, f"In a handbook: {said}.")

        await check_is_proven(library)
