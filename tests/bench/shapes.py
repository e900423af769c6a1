"""The checkpoints that are measured: tiny and 1B with random weights, written once, and the bundled one."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hrm_model.config import CONFIG_FILE, HrmConfig, read_config
from hrm_model.template import END_ANSWER
from hrm_model.tokenizer import load_tokenizer
from hrm_model.weights import HEAD, shards
from tests.bench.one_b import ONE_B, write_random
from tests.bench.sides import ROOT

TINY = HrmConfig(
    vocab_size=8192,
    hidden_size=256,
    intermediate_size=768,
    layers_per_stack=2,
    num_heads=4,
    head_dim=64,
    max_position_embeddings=4096,
    embedding_scale=16.0,
    dtype="float32",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A network to measure, and at what."""

    folder: Path
    dtype: str
    prompt_tokens: int  # of decode's prompts
    vocab: int  # ids that prompts are drawn from
    context: int


def shape(name: str) -> Shape:
    """A checkpoint by its name: tiny, mini or 1b. Random ones are written on first use (2.4 GB for 1b).

    They go to HRM_BENCH_CHECKPOINTS, or a folder for temporary files.
    """
    if name == "mini":
        folder = ROOT / "hrm_model" / "mini"
        config = read_config(folder)
        return Shape(folder, "float32", 256, load_tokenizer(folder).vocab_size, config.max_position_embeddings)
    home = Path(os.environ.get("HRM_BENCH_CHECKPOINTS", Path(tempfile.gettempdir()) / "hrm-bench"))
    config, dtype, prompt = {"tiny": (TINY, "float32", 256), "1b": (ONE_B, "bfloat16", 128)}[name]
    folder = home / name
    if not (folder / CONFIG_FILE).is_file() or read_config(folder) != config:
        write_random(folder, config)
        _silence_what_has_no_text(folder)
    return Shape(folder, dtype, prompt, load_tokenizer(folder).vocab_size, config.max_position_embeddings)


def _silence_what_has_no_text(folder: Path) -> None:
    """Give logit 0 to the ids that the small tokenizer knows no ASCII text for: an answer is seen token by token."""
    tokenizer = load_tokenizer(folder)
    for path in shards(folder):
        with safe_open(str(path), framework="pt") as file:
            if HEAD not in file.keys():  # noqa: SIM118 - safe_open is no mapping
                continue
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        spoken = [len(text := tokenizer.token_bytes(i)) > 0 and text.isascii() for i in range(tokenizer.vocab_size)]
        silent = torch.ones(len(tensors[HEAD]), dtype=torch.bool)
        silent[: len(spoken)] = ~torch.tensor(spoken)
        silent[tokenizer.control(END_ANSWER)] = True
        tensors[HEAD][silent] = 0
        save_file(tensors, path, metadata={"format": "pt"})
