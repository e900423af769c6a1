"""A server for the clients to talk to."""

import os
from collections.abc import Iterator

import pytest

from tests.clients.stub import StubServer


@pytest.fixture
def server() -> Iterator[StubServer]:
    """A server on a real socket that answers what the test tells it to."""
    with StubServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever key the developer's shell holds is not part of a test."""
    monkeypatch.delenv("HRM_API_KEY", raising=False)
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
