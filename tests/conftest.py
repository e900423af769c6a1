"""Fixtures that every test may use."""

import pytest

from retrieval.embedder import MiniLM


@pytest.fixture
def anyio_backend() -> str:
    """Asyncio is what uvicorn runs on here, so it is what the async tests run on."""
    return "asyncio"


@pytest.fixture(scope="session")
def embedder() -> MiniLM:
    """The bundled embedding model; its weights load at the first use, once for all tests."""
    return MiniLM()
