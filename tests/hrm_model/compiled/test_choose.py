"""hrm_model.compiled.choose: who is served by the compiled step, and that the log says it."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrm_model.cache import KvCache, PagedCache
from hrm_model.cache_int8 import Int8Cache
from hrm_model.compiled.choose import MOST_BESIDE_TILES, MOST_THREADS, compiled_step
from hrm_model.compiled.library import lack, library, opened
from hrm_model.compiled.step import CompiledStep, objection
from hrm_model.loading import load_placed
from hrm_model.model import HrmText
from hrm_model.placement import place
from tests.bench.one_b import write_random
from tests.engines import CONFIG, Tiny

IN_NO_PANELS = "its weights are in no panels: rounded in fp32, in int4 by other groups than of 64, or too large"


def cache_of(kind: type[PagedCache] | type[Int8Cache] = PagedCache, dtype: torch.dtype = torch.float32) -> KvCache:
    return kind(CONFIG, 4, dtype=dtype, device="cpu")


@pytest.mark.compiled
def test_a_small_network_in_fp32_has_it(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        step = compiled_step(tiny.model, cache_of())
        assert isinstance(step, CompiledStep)

    assert step is not None
    threads, size = min(torch.get_num_threads(), MOST_THREADS), 512 if step.is_wide else 256
    assert caplog.messages == [f"steps run compiled, on {threads} threads, in vectors of {size} bits"]


@pytest.mark.compiled
def test_keys_and_values_in_int8_are_no_reason_to_go_without(tiny: Tiny) -> None:
    assert isinstance(compiled_step(tiny.model, cache_of(Int8Cache)), CompiledStep)


def test_rounded_numbers_and_odd_sizes_are_left_to_torch_for_a_reason_that_the_log_has(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    narrow = HrmText(replace(CONFIG, hidden_size=24))
    rounded = tiny.changed(lambda model: model.bfloat16()).model
    halved = tiny.changed(lambda model: model.half()).model

    assert objection(rounded, cache_of(dtype=torch.bfloat16)) == IN_NO_PANELS
    assert objection(halved, cache_of(dtype=torch.float16)) == "the network computes in float16 on cpu"
    assert objection(narrow, cache_of()) == "its width, heads or feed-forward are no multiples of 16"
    assert objection(tiny.model, cache_of(dtype=torch.bfloat16)) == "its keys and values are in bfloat16"
    assert objection(rounded, cache_of(Int8Cache)) == IN_NO_PANELS
    with caplog.at_level(logging.INFO):
        assert compiled_step(rounded, cache_of(dtype=torch.bfloat16)) is None
    assert caplog.messages == [f"steps run on torch: {IN_NO_PANELS}"]


@pytest.mark.compiled
def test_a_network_of_any_size_in_bf16_has_it_for_answers_and_for_prompts_where_torch_is_slower(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_random(tmp_path, replace(CONFIG, dtype="bfloat16"))
    monkeypatch.setattr("hrm_model.compiled.choose.SMALL_PARAMETERS", 0)
    placement = place(CONFIG, dtype="bfloat16", device="cpu", kv_bytes=1 << 22, max_running=4)
    model = load_placed(tmp_path, replace(placement, panels="beside"))

    for has_tiles in (False, True):
        caplog.clear()
        monkeypatch.setattr(library(), "hrm_has_tiles", lambda has_tiles=has_tiles: has_tiles)
        with caplog.at_level(logging.INFO):
            step = compiled_step(model, placement.cache(CONFIG))

        assert step is not None
        assert not step.reads_prompts
        assert step.most_tokens == (MOST_BESIDE_TILES if has_tiles else None)
        assert caplog.messages[0].startswith(f"answers are written compiled, on {torch.get_num_threads()} threads")

    caplog.clear()
    with caplog.at_level(logging.INFO):
        step = compiled_step(load_placed(tmp_path, replace(placement, panels="alone")), placement.cache(CONFIG))
    assert step is not None
    assert step.reads_prompts
    assert caplog.messages[0].startswith("steps run compiled")


def test_a_network_without_panels_for_want_of_the_library_is_told_of_the_library(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise OSError("it was built from another version of step.c; install again")

    monkeypatch.setattr("hrm_model.compiled.step.library", missing)
    in_bf16 = tiny.changed(lambda model: model.bfloat16()).model

    said = objection(in_bf16, cache_of(dtype=torch.bfloat16))

    assert said == "it was built from another version of step.c; install again"


def test_where_it_was_not_built_the_reason_says_so() -> None:
    with pytest.raises(OSError, match="was not built: its installation found no C compiler"):
        opened(None)


def test_a_library_without_its_functions_is_one_of_another_version() -> None:
    import _hashlib

    with pytest.raises(OSError, match="another version"):
        opened(_hashlib.__file__)


def test_what_is_lacking_is_why_it_cannot_be_loaded_and_nothing_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrm_model.compiled.library.library", lambda: opened(None))
    assert (lack() or "").startswith("it was not built")

    monkeypatch.setattr("hrm_model.compiled.library.library", lambda: None)
    assert lack() is None
