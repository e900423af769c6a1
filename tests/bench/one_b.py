"""A random checkpoint in the shape of the published 1B model, for `hrm-serve check-model` to be tried on.

    python -m tests.bench.one_b DIR && hrm-serve check-model DIR && rm -r DIR

2.4 GB of bf16 in shards, each tensor drawn straight into its shard, so that no more than one shard is in memory.
The tokenizer beside it knows a few hundred ids: a vocabulary padded far beyond it, as the published one is by less.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from hrm_model.config import CONFIG_FILE, HrmConfig
from hrm_model.training.vocabulary import train_tokenizer
from hrm_model.weights import INDEX_FILE, expected_shapes, write_json

ONE_B = HrmConfig(
    vocab_size=65_536,
    hidden_size=1536,
    intermediate_size=4096,
    layers_per_stack=16,
    num_heads=12,
    head_dim=128,
    max_position_embeddings=4096,
    embedding_scale=39.191835884530846,  # sqrt(hidden_size), lecun-normal's
    dtype="bfloat16",
)
SHARD_BYTES = 500_000_000


def write_random(folder: Path, config: HrmConfig, *, shard_bytes: int = SHARD_BYTES, seed: int = 0) -> list[Path]:
    """Write a sharded, untied checkpoint with lecun-normal weights and a small tokenizer.

    Returns:
        The shards, each of at most `shard_bytes` unless a single tensor is larger.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups = list(_groups(config, shard_bytes))
    generator = torch.Generator().manual_seed(seed)
    weight_map: dict[str, str] = {}
    paths = []
    for number, names in enumerate(groups, start=1):
        path = folder / f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        save_file({name: _drawn(name, config, generator) for name in names}, path, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(names, path.name)
        paths.append(path)
    total = sum(_bytes(shape, config) for shape in expected_shapes(config).values())
    write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
    write_json(folder / CONFIG_FILE, config.to_json())
    train_tokenizer(["Who approves a refund of 250 euros? The branch does."], 300, folder)
    return paths


def _groups(config: HrmConfig, shard_bytes: int) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, shape in expected_shapes(config).items():
        more = _bytes(shape, config)
        if names and size + more > shard_bytes:
            yield names
            names, size = [], 0
        names.append(name)
        size += more
    yield names


def _drawn(name: str, config: HrmConfig, generator: torch.Generator) -> Tensor:
    shape = expected_shapes(config)[name]
    dtype: torch.dtype = getattr(torch, config.dtype)
    return torch.randn(shape, generator=generator, dtype=dtype).mul_(shape[-1] ** -0.5)


def _bytes(shape: tuple[int, ...], config: HrmConfig) -> int:
    dtype: torch.dtype = getattr(torch, config.dtype)
    return torch.Size(shape).numel() * dtype.itemsize


def main() -> None:
    """Write the checkpoint into the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Write a random checkpoint of the 1B shape.")
    parser.add_argument("folder", type=Path, help="where to; 2.4 GB")
    folder: Path = parser.parse_args().folder
    paths = write_random(folder, ONE_B)
    print(json.dumps({"shards": len(paths), "bytes": sum(path.stat().st_size for path in paths)}))


if __name__ == "__main__":
    main()
