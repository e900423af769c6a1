"""What a redacting store keeps of a file: through kills, backups, erasures and a second ingest."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from retrieval.erasure import Gone
from retrieval.errors import FileFormRefused, RedactionDecided, StoreNotEmpty
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.restore import restore
from retrieval.types import Document, Reader
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, WordsEmbedder, write
from tests.retrieval.neighbour import neighbour
from tests.retrieval.process import LEASE_S

pytestmark = pytest.mark.anyio

MAIL = "jane.canary@mail.example"
ADMIN = Reader(frozenset({"user:root"}), is_admin=True)


async def letters(library: Library, folder: Path, seed: int = 1) -> str:
    await library.create_store("letters", ANNA, personal_data="redact")
    path = write(folder, "letter.txt", f"Write to {MAIL}.\n\n{canary(seed)}")
    return (await library.ingest(path, store="letters", reader=ANNA)).file_id


async def settled(library: Library) -> Document:
    """The one document of the shop, once its job has ended."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(library.work, 0.05)
        while True:
            (document,) = await library.documents("shop", ANNA)
            if document.status != "in_progress":
                break
            await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    return document


def has_mail(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and MAIL.encode() in path.read_bytes()]


async def test_an_original_that_a_killed_process_left_goes_at_the_next_start(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        file_id = await letters(library, tmp_path)
    write(tmp_path / "data" / "files", file_id, MAIL)

    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        assert has_mail(tmp_path / "data") == []
        assert "Write to [E-MAIL]." in await library.text(file_id, ANNA)


@pytest.mark.parametrize(
    "trap", [("Originals.remove", "call", 1), ("Originals.remove", "return", 1), ("are_gone", "return", 1)]
)
async def test_a_kill_around_the_removal_of_an_original_loses_no_text(
    tmp_path: Path, trap: tuple[str, str, int]
) -> None:
    data, letter = tmp_path / "data", write(tmp_path, "letter.txt", f"Write to {MAIL}.")
    async with open_library(data, WordsEmbedder()) as library:
        await library.create_store("shop", ANNA, personal_data="redact")
    with neighbour(data, *map(str, trap)) as victim:
        assert victim.hear() == "ready"
        victim.tell(ingest=[str(letter)])
        assert victim.hear_out() == -9, "the trap was not reached"

    async with open_library(data, WordsEmbedder(), lease_s=LEASE_S) as library:
        document = await settled(library)

        assert (document.status, document.error) == ("completed", None)
        assert "Write to [E-MAIL]." in await library.text(document.file_id, ANNA)
        assert has_mail(data) == []


async def test_the_same_content_again_changes_nothing_and_brings_no_original_back(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        first = await letters(library, tmp_path)

        assert await letters(library, tmp_path) == first
        assert has_mail(tmp_path / "data") == []


async def test_a_backup_has_the_redacted_text_and_no_original(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        file_id = await letters(library, tmp_path)
        await library.back_up(tmp_path / "backup", {})

    restore(tmp_path / "backup", tmp_path / "restored", Gone(), replace=False)

    assert has_mail(tmp_path / "backup") == []
    async with open_library(tmp_path / "restored", WordsEmbedder()) as library:
        assert "[E-MAIL]" in await library.text(file_id, ANNA)
        with pytest.raises(FileFormRefused):
            await library.archive.original(file_id, ANNA)


async def test_a_redacted_file_is_erased_like_any_other(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        file_id = await letters(library, tmp_path)
        await library.delete(file_id, ANNA)

        purge = await library.purge()

        assert purge.problem is None
        for erasure in purge.erasures:
            await library.settle(erasure)
    assert holding(tmp_path / "data", canary(1), str(tmp_path), "letter.txt") == {}


async def test_a_policy_that_cannot_be_kept_is_refused_with_everything_else_that_was_asked(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await letters(library, tmp_path)

        for who, refusal in ((ADMIN, StoreNotEmpty), (ANNA, RedactionDecided)):
            with pytest.raises(refusal):
                await library.archive.change_store(
                    "letters", lambda said: replace(said, name="Post", personal_data="off"), who
                )

        description = (await library.store("letters", ANNA)).description
        assert (description.name, description.personal_data) == (None, "redact")
