"""What several of these tests begin with."""

from collections.abc import Iterator

import pytest

from hrm_model.grammar import GrammarCompiler
from tests.engines import Tiny


@pytest.fixture(scope="module")
def compiler(tiny: Tiny) -> Iterator[GrammarCompiler]:
    made = GrammarCompiler(tiny.tokenizer)
    yield made
    made.close()
