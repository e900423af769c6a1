"""Fixtures that every test may use."""

from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

from hrm_model.compiled.library import library
from retrieval.embedder import MiniLM
from tests.airgap.trace import can_cut_off

if TYPE_CHECKING:
    from tests.engines import Tiny

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of an example
settings.load_profile("untimed")


@cache
def is_compiled() -> bool:
    """Whether the compiled step was built for this machine."""
    try:
        library()
    except OSError:
        return False
    return True


@cache
def is_wide() -> bool:
    """Whether its products use vectors of 512 bits here."""
    return is_compiled() and bool(library().hrm_is_wide_here())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    needed = (("compiled", is_compiled), ("wide", is_wide), ("cuda", torch.cuda.is_available))
    lacking = [name for name, is_here in needed if not is_here()]
    marked = [item for item in items if any(item.get_closest_marker(name) for name in lacking)]
    if marked:
        items[:] = [item for item in items if item not in marked]
        config.hook.pytest_deselected(items=marked)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this and tests/airgap/conftest.py left out; here, as who reports need not be one who collects."""
    if not can_cut_off():
        terminalreporter.write_line("Left out, as this machine has no network namespaces or no strace: tests/airgap.")
    if not is_compiled():
        terminalreporter.write_line("Left out, as the compiled step was not built here: what is marked `compiled`.")
    elif not is_wide():
        terminalreporter.write_line("Left out, as this processor has no AVX-512 with bf16: what is marked `wide`.")
    if not torch.cuda.is_available():
        terminalreporter.write_line("Left out, as torch sees no GPU: what is marked `cuda`.")


@pytest.fixture
def anyio_backend() -> str:
    """Asyncio is what uvicorn runs on here, so it is what the async tests run on."""
    return "asyncio"


@pytest.fixture(scope="session")
def embedder() -> MiniLM:
    """The bundled embedding model; its weights load at the first use, once for all tests."""
    return MiniLM()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> "Tiny":
    """A random network of a few thousand parameters; torch loads at the first use."""
    from hrm_model.tokenizer import load_tokenizer
    from hrm_model.weights import load_model
    from tests.engines import Tiny, make_checkpoint

    folder = make_checkpoint(tmp_path_factory.mktemp("tiny"))
    return Tiny(load_model(folder), load_tokenizer(folder))
