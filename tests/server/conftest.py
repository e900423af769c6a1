"""A data directory with a store and a ledger in it, for tests of what concerns both."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from retrieval.library import Library
from retrieval.opening import open_library
from server.ledger import Ledger
from tests.retrieval.desk import WordsEmbedder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def library(data: Path) -> AsyncIterator[Library]:
    async with open_library(data, WordsEmbedder()) as opened:
        yield opened


@pytest.fixture
def ledger(data: Path) -> Iterator[Ledger]:
    opened = Ledger(data / "ledger.db")
    yield opened
    opened.close()
