"""`hrm-serve train`: from JSONL to a checkpoint that transformers, vLLM and this server load."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hrm_model.config import HrmConfig
from hrm_model.template import BEGIN_QUESTION, END_ANSWER, PAD
from hrm_model.tokenizer import TOKENIZER_FILE, Tokenizer, load_tokenizer
from hrm_model.training.curriculum import Curriculum
from hrm_model.training.pairs import BadPair, read_pairs
from hrm_model.training.recipe import Recipe
from hrm_model.training.trainer import Progress, Trainer
from hrm_model.training.vectors import Embed, token_vectors
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
    extractive: bool = False

    def config(self, vocab_size: int) -> HrmConfig:
        """The config of a network with this shape and `vocab_size` embeddings."""
        for name in ("hidden_size", "intermediate_size", "layers_per_stack", "context", "max_context_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.replace('_', ' ')} is {getattr(self, name)}; it must be at least 1")
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
            is_extractive=self.extractive,
        )


def train(
    files: Sequence[Path],
    out: Path,
    shape: Shape,
    recipe: Recipe,
    *,
    report: Callable[[Progress, int], None],
    init: Path | None = None,
    words: Embed | None = None,
    device: str = "cpu",
    compile: bool = False,
) -> Progress:
    """Train on `files`, easiest first, and write the averaged weights to `out`.

    `out` holds the checkpoint, and in `out/run` the state that a second call goes on from.

    Args:
        files: JSONL of `instruction`, `response`, `condition` and, where the recipe weighs it, `evidence`; one file a
            stage.
        init: a checkpoint of the same shape to start from, tokenizer included; None starts from random weights.
        words: a sentence model, whose vectors of the vocabulary's entries the embedding starts from; None starts it
            from random rows.
        compile: compile the stacks with torch.compile, which needs a C++ compiler on a CPU and pays after
            a few minutes.

    Raises:
        BadPair, ValueError: the data or the run folder do not fit; nothing is written over.
    """
    config = shape.config(shape.vocab_size)
    if recipe.longest_pair > shape.context:
        raise ValueError(f"pairs of up to {recipe.longest_pair} tokens do not fit a context of {shape.context}")
    _check_device(device)
    if shape.extractive:
        _check_extractive(files)
    tokenizer = _tokenizer(files, out, shape, init)
    torch.manual_seed(recipe.seed)
    curriculum = Curriculum(files, tokenizer, recipe)
    vectors_VD = None if words is None else token_vectors(words, tokenizer, shape.hidden_size, recipe.seed)
    trainer = Trainer(config, curriculum, recipe, out / "run", device=device, compile=compile, vectors_VD=vectors_VD)
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


def _tokenizer(files: Sequence[Path], out: Path, shape: Shape, init: Path | None) -> Tokenizer:
    """The tokenizer of `out`: the one that is there, that of `init`, or one trained on `files`."""
    chosen = out if init is None else init
    if not (out / TOKENIZER_FILE).exists():
        with tempfile.TemporaryDirectory() as name:
            fresh = Path(name)
            if init is None:
                train_tokenizer(_texts(files), shape.vocab_size, fresh)
                chosen = fresh
            tokenizer = _fitting(chosen, shape)
            out.mkdir(parents=True, exist_ok=True)
            for file in (TOKENIZER_CONFIG_FILE, TOKENIZER_FILE):
                shutil.copyfile(chosen / file, out / file)
        return tokenizer
    # The state in `out/run` knows its ids by this tokenizer alone.
    if (out / TOKENIZER_FILE).read_bytes() != (chosen / TOKENIZER_FILE).read_bytes():
        raise ValueError(f"{out} holds a run with another tokenizer than {chosen}; choose another folder")
    return _fitting(out, shape)


def _fitting(folder: Path, shape: Shape) -> Tokenizer:
    tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size > shape.vocab_size:
        raise ValueError(f"the tokenizer has {tokenizer.vocab_size} entries; the shape allows {shape.vocab_size}")
    return tokenizer


def _texts(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        for pair in itertools.islice(read_pairs(file), _TOKENIZER_PAIRS):
            yield from (pair.instruction, pair.response)


def _check_extractive(files: Sequence[Path]) -> None:
    for file in files:
        for number, pair in enumerate(read_pairs(file), start=1):
            if pair.response.strip() not in pair.instruction:
                raise BadPair(f"{file}: pair {number}: {pair.response!r} does not stand in its instruction")


def _check_device(device: str) -> None:
    kind, _, index = device.partition(":")
    if kind == "cuda" and index.isdecimal() and int(index) < torch.cuda.device_count():
        return
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise ValueError(f"there is no device {device}; torch sees cpu and {torch.cuda.device_count()} of cuda")
