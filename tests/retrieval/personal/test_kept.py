"""What a redacting store keeps of a file: through kills, backups, erasures and a second ingest."""

from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.erasure import Gone
from retrieval.errors import FileFormRefused, StoreNotEmpty
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.restore import restore
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, WordsEmbedder, write

pytestmark = pytest.mark.anyio

MAIL = "jane.canary@mail.example"


async def letters(library: Library, folder: Path, seed: int = 1) -> str:
    await library.create_store("letters", ANNA, personal_data="redact")
    path = write(folder, "letter.txt", f"Write to {MAIL}.\n\n{canary(seed)}")
    return (await library.ingest(path, store="letters", reader=ANNA)).file_id


def has_mail(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and MAIL.encode() in path.read_bytes()]


async def test_an_original_that_a_killed_process_left_goes_at_the_next_start(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        file_id = await letters(library, tmp_path)
    write(tmp_path / "data" / "files", file_id, MAIL)

    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        assert has_mail(tmp_path / "data") == []
        assert "Write to [E-MAIL]." in await library.text(file_id, ANNA)


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

        with pytest.raises(StoreNotEmpty):
            await library.archive.change_store(
                "letters", lambda said: replace(said, name="Post", personal_data="off"), ANNA
            )

        description = (await library.store("letters", ANNA)).description
        assert (description.name, description.personal_data) == (None, "redact")
