"""What many of these tests begin with: an opened library, or its parts as several processes would have them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from retrieval.library import Library
from retrieval.opening import open_library
from tests.retrieval.desk import WordsEmbedder
from tests.retrieval.shop import Shop


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data", WordsEmbedder()) as opened:
        yield opened


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    opened = Shop(tmp_path)
    yield opened
    opened.parser.close()
