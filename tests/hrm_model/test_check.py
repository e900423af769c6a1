"""`check-model`: a report that a person can act on, and a refusal that names what is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrm_model.check import check_model
from hrm_model.config import HrmConfig, read_config
from hrm_model.errors import CheckpointError
from hrm_model.weights import load_model
from tests.bench.one_b import write_random

TINY = HrmConfig(
    vocab_size=384,
    hidden_size=32,
    intermediate_size=48,
    layers_per_stack=1,
    num_heads=2,
    head_dim=16,
    max_position_embeddings=64,
    embedding_scale=5.0,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_random(tmp_path, TINY, shard_bytes=30_000)
    return tmp_path


def test_the_report_says_what_it_is_what_it_needs_and_how_fast_it_ran(folder: Path) -> None:
    lines = list(check_model(folder))

    heads = [line[:17].strip() for line in lines]
    assert heads == [
        "config.json",
        "",
        "tokenizer.json",
        "weights",
        "placement",
        "weights need",
        "cache needs",
        "a decode step",
        "loaded",
        "first token",
        "decoding",
        "memory",
        "servable",
    ]
    assert "1 layers a stack, d=32, 2 heads of 16, FFN 48" in lines[1]
    assert "conditions direct, cot, noisy, synth" in lines[2]
    assert "; steps run " in lines[8]
    assert "after a prompt of 55 tokens" in lines[9]


def test_the_figures_are_those_of_the_configuration(folder: Path) -> None:
    report = "\n".join(check_model(folder, decode=False))

    assert f"{TINY.parameters / 1e6:,.1f} M parameters" in report
    assert "8 passes, 8 K/V slots" in report
    # 2 of K and V, 8 slots, 2 heads of 16, 4 bytes: fp32, as so small a network is held on a CPU.
    assert "cache needs      2.0 KiB a token, 128.0 KiB for a full context of 64" in report


@pytest.mark.compiled
def test_a_network_in_bf16_is_held_twice_and_that_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hrm_model.placement.SMALL_PARAMETERS", 0)
    monkeypatch.setattr("hrm_model.placement.torch_reads_faster", lambda weights, dtype: True)

    report = "\n".join(check_model(folder))

    assert "placement        cpu, bfloat16, weights twice, for prompts and for answers" in report
    assert report.endswith("servable         yes")


@pytest.mark.compiled
def test_what_rounding_saves_is_said_and_tried(folder: Path) -> None:
    report = "\n".join(check_model(folder, weights="int8", kv_dtype="int8"))

    assert "placement        cpu, bfloat16, projections in int8, keys and values in int8" in report
    # 8 slots of 2 heads, keys and values: 16 bytes and 2 for a scale.
    assert f"cache needs      {2 * 8 * 2 * 18} bytes a token" in report
    assert report.endswith("servable         yes")


def test_formats_and_devices_are_those_of_serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    report = "\n".join(check_model(folder, dtype="float16", device="cpu"))

    assert "placement        cpu, float16\n" in report
    assert "steps run on torch: the network computes in float16 on cpu" in report
    with pytest.raises(ValueError, match="device is cuda, but torch sees no CUDA device"):
        list(check_model(folder, device="cuda"))
    with pytest.raises(ValueError, match="device is 'tpu'; expected auto, cpu, cuda, or one of several as cuda:1"):
        list(check_model(folder, device="tpu"))


def test_without_decoding_nothing_is_loaded(folder: Path) -> None:
    for shard in folder.glob("*.safetensors"):
        shard.write_bytes(b"not weights")

    assert list(check_model(folder, decode=False))[-1] == "servable         yes"
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        list(check_model(folder))


def test_a_context_shorter_than_the_trial_is_tried_with_what_fits(tmp_path: Path) -> None:
    write_random(tmp_path, replace(TINY, max_position_embeddings=4))

    assert "after a prompt of 1 tokens" in "\n".join(check_model(tmp_path))


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("config.json", "config.json: there is no such file"),
        ("tokenizer.json", "tokenizer.json: there is no such file"),
        ("model.safetensors.index.json", "holds neither model.safetensors nor"),
        ("model-00001-*", "names files that are not there: model-00001-of-"),
    ],
)
def test_what_is_missing_is_named(folder: Path, file: str, named: str) -> None:
    next(folder.glob(file)).unlink()

    with pytest.raises(CheckpointError, match=named):
        list(check_model(folder))


def test_lines_come_as_soon_as_they_are_known(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    lines = check_model(folder)

    assert next(lines).startswith("config.json")
    assert next(lines).startswith(" ")
    with pytest.raises(CheckpointError, match="tokenizer"):
        next(lines)


def test_the_random_checkpoint_is_sharded_within_its_limit_and_loads_whole(tmp_path: Path) -> None:
    header = 4096

    paths = write_random(tmp_path, TINY, shard_bytes=30_000)

    assert len(paths) > 2
    assert all(path.stat().st_size < 30_000 + header for path in paths)
    assert read_config(tmp_path) == TINY
    assert load_model(tmp_path).lm_head.weight.dtype is torch.bfloat16
