"""From a folder to an engine: where a checkpoint is placed, and that all its conventions give the same logits."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import hrm_model
from hrm_model.cache import PagedCache
from hrm_model.config import CONFIG_FILE, HrmConfig
from hrm_model.errors import CheckpointError
from hrm_model.loading import load_engine
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.placement import default_slice_tokens, place
from hrm_model.projections.choose import stack_panel_bytes
from hrm_model.runner import Runner
from hrm_model.sequence import Sequence
from hrm_model.types import Sampling
from hrm_model.weights import load_model, write_json
from tests.byte_tokenizer import MERGED, byte_tokenizer, write_tokenizer
from tests.checkpoints import Shape, reference, reference_logits, save

PROMPT = (6, 8, 101, 57, 300, 12, 240, 7)
TOLERANCE = 1e-4  # fp32, as in tests/parity
SMALL = Shape(hidden=64, intermediate=96, layers=1, heads=2, head_dim=32, vocab=384, context=64)
WIDE = replace(SMALL, hidden=256, head_dim=128)
CONFIG = HrmConfig(
    vocab_size=384,
    hidden_size=64,
    intermediate_size=96,
    layers_per_stack=1,
    num_heads=2,
    head_dim=32,
    max_position_embeddings=64,
    embedding_scale=20.0,
)
LARGE = replace(CONFIG, vocab_size=2_000_000)


@dataclass
class Saved:
    """A checkpoint as transformers wrote it, and the last logits of `PROMPT` by transformers' own network."""

    folder: Path
    logits: Tensor


def saved(folder: Path, shape: Shape, **options: str) -> Saved:
    theirs = reference(shape)
    return Saved(save(theirs, folder, **options), reference_logits(theirs, PROMPT, len(PROMPT))[-1])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return saved(tmp_path_factory.mktemp("small"), SMALL)


def with_config(source: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The same weights beside a changed config.json."""
    folder.mkdir(exist_ok=True)
    for file in source.iterdir():
        (folder / file.name).symlink_to(file)
    raw = json.loads((source / CONFIG_FILE).read_text(encoding="utf-8"))
    change(raw)
    (folder / CONFIG_FILE).unlink()
    write_json(folder / CONFIG_FILE, raw)
    return folder


def our_logits(folder: Path) -> Tensor:
    model = load_model(folder, dtype=torch.float32)
    pages = pages_for(len(PROMPT))
    cache = PagedCache(model.config, pages, dtype=torch.float32, device="cpu")
    count = len(PROMPT)
    sequence = Sequence(0, 0, list(PROMPT), count, Sampling(seed=0), pages * PAGE_TOKENS, list(range(pages)))
    with torch.inference_mode():
        return Runner(model, cache, "cpu").forward([sequence])[0]


def _layers_a_stack(raw: dict[str, Any]) -> None:
    raw["num_hidden_layers"] = raw.pop("num_layers_per_stack")


def _layers_both_a_stack(raw: dict[str, Any]) -> None:
    raw["num_hidden_layers"] = raw["num_layers_per_stack"]


def _theta_at_the_top(raw: dict[str, Any]) -> None:
    raw["rope_theta"] = raw.pop("rope_parameters")["rope_theta"]


def _scale_from_the_initializer(raw: dict[str, Any]) -> None:
    raw["initializer_range"] = 1.0 / raw.pop("embedding_scale")


def _old_dtype_name(raw: dict[str, Any]) -> None:
    raw["torch_dtype"] = raw.pop("dtype")


def _as_written(raw: dict[str, Any]) -> None:
    assert raw["num_hidden_layers"] == 8 * raw["num_layers_per_stack"]


@pytest.mark.parametrize(
    "convention",
    [
        _as_written,
        _layers_a_stack,
        _layers_both_a_stack,
        _theta_at_the_top,
        _scale_from_the_initializer,
        _old_dtype_name,
    ],
)
def test_every_convention_of_config_json_gives_the_reference_logits(
    small: Saved, tmp_path: Path, convention: Callable[[dict[str, Any]], object]
) -> None:
    folder = with_config(small.folder, tmp_path / "changed", convention)

    torch.testing.assert_close(our_logits(folder), small.logits, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("change", [{"rope_theta": 20_000.0}, {"embedding_scale": 10.0}])
def test_a_constant_that_is_read_wrongly_would_show(small: Saved, tmp_path: Path, change: dict[str, float]) -> None:
    def apply(raw: dict[str, Any]) -> None:
        _theta_at_the_top(raw)
        raw.update(change)

    folder = with_config(small.folder, tmp_path / "changed", apply)

    assert (our_logits(folder) - small.logits).abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        (replace(SMALL, tied=True), {}),
        (replace(SMALL, layers=2), {"max_shard_size": "100KB"}),
        (replace(SMALL, head_dim=64), {}),
        (replace(SMALL, vocab=512), {}),
    ],
    ids=["tied", "sharded", "head_dim is not hidden / heads", "padded vocabulary"],
)
def test_every_layout_of_the_weights_gives_the_reference_logits(
    tmp_path: Path, shape: Shape, options: dict[str, str]
) -> None:
    checkpoint = saved(tmp_path, shape, **options)

    torch.testing.assert_close(our_logits(checkpoint.folder), checkpoint.logits, atol=TOLERANCE, rtol=0)


def test_a_head_size_of_128_may_be_left_out(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "wide", WIDE)
    folder = with_config(checkpoint.folder, tmp_path / "changed", lambda raw: raw.pop("head_dim"))

    torch.testing.assert_close(our_logits(folder), checkpoint.logits, atol=TOLERANCE, rtol=0)


def test_another_head_size_may_not_be_left_out(small: Saved, tmp_path: Path) -> None:
    folder = with_config(small.folder, tmp_path / "changed", lambda raw: raw.pop("head_dim"))

    with pytest.raises(CheckpointError, match="head_dim is missing"):
        load_engine(folder)


def test_a_vocabulary_padded_beyond_the_tokenizers_is_served(small: Saved) -> None:
    engine = load_engine(small.folder, kv_bytes=1 << 20, max_running=2)

    assert engine.limits.context_tokens == SMALL.context
    assert engine.limits.max_context_tokens == SMALL.context // 2


def test_the_passages_that_a_checkpoint_says_it_reads_well_are_its_limit(small: Saved, tmp_path: Path) -> None:
    folder = with_config(small.folder, tmp_path / "changed", lambda raw: raw.update(max_context_tokens=20))

    assert load_engine(folder, kv_bytes=1 << 20).limits.max_context_tokens == 20


def test_a_tokenizer_with_more_ids_than_the_embedding_is_refused(small: Saved, tmp_path: Path) -> None:
    folder = with_config(small.folder, tmp_path / "changed", lambda raw: None)
    (folder / "tokenizer.json").unlink()
    raw = byte_tokenizer()
    raw["model"]["vocab"]["the"] = SMALL.vocab

    with pytest.raises(CheckpointError, match="the tokenizer has 385 ids, the embedding only 384 rows"):
        load_engine(write_tokenizer(folder, raw))
    assert MERGED["the"] < SMALL.vocab, "the unchanged tokenizer would have fitted"


def placed(config: HrmConfig = CONFIG, **changes: Any) -> Any:
    return place(config, **{"dtype": "auto", "device": "cpu", "kv_bytes": 1 << 30, "max_running": 4, **changes})


def test_a_small_network_runs_in_fp32_on_a_cpu_and_a_large_one_in_its_own_dtype() -> None:
    assert placed().dtype is torch.float32
    assert placed(LARGE).dtype is torch.bfloat16


IN_GROUPS = replace(CONFIG, hidden_size=64, num_heads=1, head_dim=64, intermediate_size=128)  # of int4 weights


@pytest.mark.compiled
def test_rounded_weights_come_with_bf16_where_the_compiled_step_reads_them_so() -> None:
    assert placed(weights="int8").dtype is placed(IN_GROUPS, weights="int4").dtype is torch.bfloat16
    assert placed(replace(CONFIG, dtype="float32"), weights="int8").dtype is torch.float32
    assert placed(replace(IN_GROUPS, intermediate_size=96), weights="int4").dtype is torch.float32
    assert placed(weights="int8", kv_dtype="int8").dtype is torch.bfloat16
    assert placed(weights="int8", dtype="float32").dtype is torch.float32


def who_reads_faster(torch_does: bool) -> Callable[[str, torch.dtype], bool]:
    return lambda weights, dtype: torch_does


@pytest.mark.compiled
def test_bf16_on_a_cpu_is_held_in_panels_too_where_a_quarter_of_the_free_memory_takes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hrm_model.placement.torch_reads_faster", who_reads_faster(torch_does=True))
    in_bf16 = placed(dtype="bfloat16")
    panels = 2 * stack_panel_bytes(CONFIG, "auto") + 2 * CONFIG.vocab_size * CONFIG.hidden_size

    assert in_bf16.panels == "beside"
    assert in_bf16.weight_bytes(CONFIG) == replace(in_bf16, panels="no").weight_bytes(CONFIG) + panels
    assert placed(dtype="bfloat16", weights="int8").panels == "beside"
    assert placed(dtype="bfloat16", kv_dtype="int8").panels == "beside"
    assert placed(IN_GROUPS, dtype="bfloat16", weights="int4").panels == "beside"
    monkeypatch.setattr("hrm_model.placement.free_memory", lambda: 4 * panels)
    assert placed(dtype="bfloat16").panels == "beside"
    monkeypatch.setattr("hrm_model.placement.free_memory", lambda: 4 * panels - 1)
    assert placed(dtype="bfloat16").panels == "no"


@pytest.mark.compiled
def test_where_torch_would_read_prompts_more_slowly_there_is_no_copy_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrm_model.placement.torch_reads_faster", who_reads_faster(torch_does=False))
    monkeypatch.setattr("hrm_model.placement.free_memory", lambda: 0)
    alone = placed(dtype="bfloat16")
    torchs = replace(alone, panels="no").weight_bytes(CONFIG)

    assert alone.panels == "alone"
    assert alone.weight_bytes(CONFIG) == torchs + 2 * CONFIG.vocab_size * CONFIG.hidden_size, "but for the head"


@pytest.mark.compiled
@pytest.mark.parametrize("torch_does", [True, False])
def test_what_the_compiled_step_cannot_read_is_in_no_panels(monkeypatch: pytest.MonkeyPatch, torch_does: bool) -> None:
    monkeypatch.setattr("hrm_model.placement.torch_reads_faster", who_reads_faster(torch_does))

    for other in ({"dtype": "float32"}, {"dtype": "float16"}):
        changes: dict[str, Any] = {"dtype": "bfloat16"} | other
        assert placed(**changes).panels == "no"
    assert placed(replace(CONFIG, intermediate_size=200), dtype="bfloat16").panels == "no"
    assert placed(replace(IN_GROUPS, intermediate_size=96), dtype="bfloat16", weights="int4").panels == "no"


def test_a_dtype_that_is_asked_for_is_taken() -> None:
    assert placed(dtype="float16").dtype is torch.float16


def test_a_given_cache_is_filled_with_whole_pages_and_never_exceeded() -> None:
    page = CONFIG.kv_bytes_per_token(4) * PAGE_TOKENS

    assert placed(kv_bytes=3 * page - 1).pages == 2
    assert placed(kv_bytes=3 * page).kv_tokens == 3 * PAGE_TOKENS


def test_an_ungiven_cache_holds_every_running_request_at_full_length_and_no_more() -> None:
    assert placed(kv_bytes=None).pages == 4 * pages_for(CONFIG.max_position_embeddings)


def test_a_cache_below_one_page_is_refused_in_bytes() -> None:
    with pytest.raises(ValueError, match=r"a cache of 10 bytes holds no page of cache; one takes \d+ bytes"):
        placed(kv_bytes=10)


def test_a_page_larger_than_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="a quarter of the free memory holds no page"):
        placed(replace(CONFIG, num_heads=10**9), kv_bytes=None)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(ValueError, match="device is cuda, but torch sees no CUDA device"):
        placed(device="cuda")
    assert placed(device="auto").device == "cpu"


def test_a_small_network_reads_more_of_a_prompt_beside_others_than_a_large_one() -> None:
    assert default_slice_tokens(CONFIG) == 256
    assert default_slice_tokens(LARGE) == 64
    assert default_slice_tokens(LARGE, "alone") == 16


def test_loading_leaves_torchs_compiler_where_it_is() -> None:
    """It takes seconds to import, and nothing here compiles."""
    folder = Path(hrm_model.__file__).parent / "mini"
    asked = (
        "import sys; from pathlib import Path; from hrm_model.loading import load_engine;"
        f"load_engine(Path({str(folder)!r})); print('torch._dynamo' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False, timeout=100)

    assert (done.stdout.strip(), done.stderr) == ("False", "")
