"""The smallest thing to train on: say the word again. Files, tokenizer and shape for the tests beside this."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import torch

from hrm_model.config import HrmConfig
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.training.pairs import EncodedPairs, encode_pairs, read_pairs
from hrm_model.training.recipe import Recipe
from hrm_model.training.run import Shape
from hrm_model.training.vocabulary import train_tokenizer

WORDS = ("amber", "basalt", "cedar", "delta", "ember", "fjord", "garnet", "hazel", "indigo", "juniper", "kelp", "lilac")
TINY = Shape(hidden_size=64, intermediate_size=128, layers_per_stack=1, vocab_size=300, context=128)


def tasks(count: int, seed: int = 0, words: int = 1) -> list[dict[str, str]]:
    """`count` instructions of some words, each with those words as its response."""
    rng = Random(seed)
    said = [" ".join(rng.choices(WORDS, k=words)) for _ in range(count)]
    return [{"instruction": f"Say {text}", "response": text} for text in said]


def with_evidence(records: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """The same tasks; what is to be said is their evidence."""
    return [{**record, "evidence": record["response"]} for record in records]


def write(path: Path, records: Iterable[object]) -> Path:
    """One JSON value a line."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def tokenizer(folder: Path, words: Sequence[str] = WORDS) -> Tokenizer:
    """A tokenizer of 300 entries that has seen the words."""
    train_tokenizer([f"Say {word} {word}" for word in words], 300, folder)
    return load_tokenizer(folder)


def encoded(path: Path, folder: Path, *, with_evidence: bool = False) -> EncodedPairs:
    """The pairs of a file, spelled."""
    pairs, _ = encode_pairs(read_pairs(path, with_evidence=with_evidence), tokenizer(folder), longest=128)
    return pairs


def config() -> HrmConfig:
    """The tiny network."""
    return TINY.config(300)


def recipe(**changed: int | float) -> Recipe:
    """A budget of about 40 small steps, everything else scaled down with it."""
    chosen: dict[str, int | float] = {
        "tokens": 40 * 512,
        "batch_tokens": 512,
        "longest_pair": 128,
        "held_out": 8,
        "evaluate_every": 5,
        "warmup_steps": 4,
        **changed,
    }
    return Recipe(**chosen)  # type: ignore[arg-type]  # each field has its own number type


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Bit for bit, names included."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
