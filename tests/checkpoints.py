"""Random HRM-Text checkpoints, made by transformers, that can fail: their greedy answers vary.

The weights are larger than a fresh network's, z_L_init is not zero and the head size is 64, which every engine's
kernels know. tests/parity/test_transformers.py checks that a greedy answer has many distinct tokens.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrm_model.training.vocabulary import train_tokenizer

_CORPUS = (
    "The glass claim desk answers within 28 days. Who approves a refund of 250 euros? Marta Velin leads the branch.",
    "Offices open at 08:30 and close at 17:15. Naïve façade, größer, 東京, emoji 🙂 and Ελλάδα stand here as well.",
    "Please answer a question about this article. If the question is unanswerable, say so.",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The part of a checkpoint's shape that tests vary."""

    hidden: int = 128
    intermediate: int = 256
    layers: int = 2
    heads: int = 2
    head_dim: int = 64
    vocab: int = 512
    tied: bool = False
    H_cycles: int = 2
    L_cycles: int = 3
    context: int = 512


SHAPES = {
    "square": Shape(),
    "tied, one layer, wide heads": Shape(hidden=192, intermediate=320, layers=1, heads=2, head_dim=128, tied=True),
    "three cycles, narrow heads": Shape(hidden=96, intermediate=160, heads=3, head_dim=32, H_cycles=3, L_cycles=2),
}


def reference(shape: Shape, seed: int = 0) -> Any:
    """transformers' own network with random weights, in fp32 and eval mode."""
    from transformers import HrmTextConfig, HrmTextForCausalLM

    config = HrmTextConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        head_dim=shape.head_dim,
        tie_word_embeddings=shape.tied,
        H_cycles=shape.H_cycles,
        L_cycles=shape.L_cycles,
        max_position_embeddings=shape.context,
        initializer_range=0.05,
    )
    model: Any = HrmTextForCausalLM(config)
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("z_L_init"):
                parameter.normal_(generator=generator)
            elif "lm_head" in name:
                parameter.normal_(std=0.1, generator=generator)
            elif "embed" in name:
                parameter.normal_(std=0.05, generator=generator)
            elif shape.tied and ("o_proj" in name or "down_proj" in name):
                # A tied head would repeat its input for ever, if what the blocks add did not outweigh the residual.
                parameter.normal_(std=3.0 * parameter.shape[1] ** -0.5, generator=generator)
            else:
                parameter.normal_(std=1.5 * parameter.shape[1] ** -0.5, generator=generator)
    return model


def save(model: Any, folder: Path, *, max_shard_size: str = "5GB") -> Path:
    """Write the checkpoint as transformers does, with a small tokenizer beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder, max_shard_size=max_shard_size)
    train_tokenizer(_CORPUS, 330, folder)
    return folder


def reference_logits(model: Any, ids: Sequence[int], prefix_len: int) -> Tensor:
    """(T, V) logits of one sequence, the prompt read bidirectionally and the rest causally."""
    ids_BT = torch.tensor([ids])
    types_BT = (torch.arange(len(ids)) < prefix_len).long()[None]
    with torch.no_grad():
        logits: Tensor = model(input_ids=ids_BT, token_type_ids=types_BT, use_cache=False).logits[0]
    return logits


def reference_greedy(model: Any, prompt: Sequence[int], count: int) -> tuple[list[int], list[float]]:
    """Greedy tokens by cached decoding, and at each the gap between the two largest logits."""
    tokens: list[int] = []
    gaps: list[float] = []
    with torch.no_grad():
        out = model(input_ids=torch.tensor([prompt]), token_type_ids=torch.ones(1, len(prompt)).long(), use_cache=True)
        while True:
            top = out.logits[0, -1].topk(2)
            tokens.append(int(top.indices[0]))
            gaps.append(float(top.values[0] - top.values[1]))
            if len(tokens) == count:
                return tokens, gaps
            out = model(input_ids=torch.tensor([tokens[-1:]]), cache=out.cache, use_cache=True)
