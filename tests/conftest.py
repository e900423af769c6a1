"""Fixtures that every test may use."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Asyncio is what uvicorn runs on here, so it is what the async tests run on."""
    return "asyncio"
