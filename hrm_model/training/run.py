"""`hrm-serve train`: from JSONL to a checkpoint that transformers, vLLM and this server load."""

import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hrm_model.config import HrmConfig
from hrm_model.template import BEGIN_QUESTION, END_ANSWER, PAD
from hrm_model.tokenizer import TOKENIZER_FILE, load_tokenizer
from hrm_model.training.curriculum import Curriculum
from hrm_model.training.pairs import read_pairs
from hrm_model.training.recipe import Recipe
from hrm_model.training.trainer import Progress, Trainer
from hrm_model.training.vocabulary import TOKENIZER_CONFIG_FILE, train_tokenizer
from hrm_model.weights import save_checkpoint

_TOKENIZER_PAIRS = 60_000  # per stage; more changes a vocabulary of a few thousand entries no further


@dataclass(frozen=True, slots=True)
class Shape:
    """The network to train; head_dim is 64, which every engine's kernels know."""

    hidden_size: int = 256
    intermediate_size: int = 1024
    layers_per_stack: int = 2
    vocab_size: int = 4096
    context: int = 1024
    max_context_tokens: int = 384
    tied: bool = True

    def config(self, vocab_size: int) -> HrmConfig:
        """The config of a network with this shape and `vocab_size` embeddings."""
        if self.hidden_size % 64:
            raise ValueError(f"hidden size {self.hidden_size} is no multiple of the head size, 64")
        return HrmConfig(
            vocab_size=vocab_size,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            layers_per_stack=self.layers_per_stack,
            num_heads=self.hidden_size // 64,
            head_dim=64,
            max_position_embeddings=self.context,
            # Unit-variance states and, through the tied head, unit-variance logits at the start.
            embedding_scale=float(self.hidden_size**0.5),
            tie_word_embeddings=self.tied,
            max_context_tokens=self.max_context_tokens,
        )


def train(
    files: Sequence[Path],
    out: Path,
    shape: Shape,
    recipe: Recipe,
    *,
    report: Callable[[Progress, int], None],
    init: Path | None = None,
    device: str = "cpu",
    compile: bool = False,
) -> Progress:
    """Train on `files`, easiest first, and write the averaged weights to `out`.

    `out` holds the checkpoint, and in `out/run` the state that a second call goes on from.

    Args:
        files: JSONL of `instruction`, `response`, `condition`; one file a stage.
        init: a checkpoint of the same shape to start from, tokenizer included; None starts from random weights.
        compile: compile the stacks with torch.compile, which needs a C++ compiler on a CPU and pays after
            a few minutes.

    Raises:
        BadPair, ValueError: the data or the run folder do not fit; nothing is written over.
    """
    folder = out / "run"
    if init is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE):
            shutil.copyfile(init / name, out / name)
    if not (out / TOKENIZER_FILE).exists():
        texts = (
            text
            for file in files
            for pair in itertools.islice(read_pairs(file), _TOKENIZER_PAIRS)
            for text in (pair.instruction, pair.response)
        )
        train_tokenizer(texts, shape.vocab_size, out)
    tokenizer = load_tokenizer(out)
    if tokenizer.vocab_size > shape.vocab_size:
        raise ValueError(
            f"{out / TOKENIZER_FILE} has {tokenizer.vocab_size} entries; the shape allows {shape.vocab_size}"
        )
    torch.manual_seed(recipe.seed)
    curriculum = Curriculum(files, tokenizer, recipe)
    trainer = Trainer(shape.config(shape.vocab_size), curriculum, recipe, folder, device=device, compile=compile)
    if not trainer.resume() and init is not None:
        trainer.start_from(init)
    trainer.run(report)
    ids = {
        "bos_token_id": tokenizer.control(BEGIN_QUESTION),
        "eos_token_id": tokenizer.control(END_ANSWER),
        "pad_token_id": tokenizer.control(PAD),
    }
    save_checkpoint(out, trainer.config, trainer.averaged(), ids)
    return trainer.progress
