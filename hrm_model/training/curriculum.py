"""Stages of rising difficulty: which pairs come next, and when the next stage opens."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrm_model.tokenizer import Tokenizer
from hrm_model.training.packing import PackedBatch, densely, pack
from hrm_model.training.pairs import UNTOLD, EncodedPairs, encode_pairs, read_pairs
from hrm_model.training.recipe import Recipe

log = logging.getLogger(__name__)


class Stage:
    """One file of pairs: its head is held out for scoring, the rest is trained on in a shuffled order."""

    def __init__(self, path: Path, tokenizer: Tokenizer, recipe: Recipe) -> None:
        self.path = path
        read = read_pairs(path, with_evidence=recipe.evidence > 0)
        self.pairs, dropped = encode_pairs(read, tokenizer, longest=recipe.longest_pair)
        if dropped:
            whole = dropped + len(self.pairs)
            log.warning("%s: %d of %d pairs have more than %d tokens", path, dropped, whole, recipe.longest_pair)
        if len(self.pairs) <= recipe.held_out:
            raise ValueError(f"{path}: {len(self.pairs)} usable pairs; the first {recipe.held_out} are held out")
        if recipe.evidence and (self.pairs.evidence == UNTOLD).all():
            raise ValueError(f"{path}: evidence is to be learned, and no usable pair tells its own")
        # Attention is paid for whole rows, so they are no longer than this stage needs.
        self.row_tokens = -(-int(np.diff(self.pairs.start).max()) // 128) * 128
        self.rows = max(1, recipe.batch_tokens // self.row_tokens)
        self.held_out = [batch for batch, _ in pack(self.pairs, np.arange(recipe.held_out), self.rows, self.row_tokens)]

    def order(self, recipe: Recipe, epoch: int) -> NDArray[np.int64]:
        """The trained pairs, shuffled by (seed, file name, epoch)."""
        seed = [recipe.seed, epoch, *self.path.name.encode()]
        trained = np.arange(recipe.held_out, len(self.pairs), dtype=np.int64)
        return np.random.default_rng(seed).permutation(trained)


class Curriculum:
    """The stages one after another. `stage` and `epoch` are all that a resumed run needs besides `used`."""

    def __init__(self, files: Sequence[Path], tokenizer: Tokenizer, recipe: Recipe) -> None:
        self._files, self._tokenizer, self._recipe = list(files), tokenizer, recipe
        self._loaded: dict[int, Stage] = {}
        self.stage = 0
        self.epoch = 0
        self.used = 0  # pairs of this epoch that have been trained on

    @property
    def stages(self) -> int:
        """How many there are."""
        return len(self._files)

    @property
    def names(self) -> list[str]:
        """The files' names without folders: with the seed, they decide the order of pairs."""
        return [path.name for path in self._files]

    def load(self, index: int) -> Stage:
        """Stage `index`, encoded; the file is read once."""
        if index not in self._loaded:
            self._loaded[index] = Stage(self._files[index], self._tokenizer, self._recipe)
        return self._loaded[index]

    def token_counts(self, vocab_size: int) -> Tensor:
        """(vocab_size,) int64: how often each token stands in the stages. Reads them all."""
        counts = [np.bincount(self.load(index).pairs.ids, minlength=vocab_size) for index in range(self.stages)]
        return torch.from_numpy(np.sum(counts, axis=0))

    def advance(self) -> bool:
        """Open the next stage; False when there is none."""
        if self.stage + 1 >= self.stages:
            return False
        self.stage, self.epoch, self.used = self.stage + 1, 0, 0
        return True

    def batches(self) -> Iterator[PackedBatch]:
        """Batches of the current stage for ever, mixed with earlier stages; ends when the stage is advanced."""
        stage = self.stage
        while True:
            pairs, order = self._mixture(stage)
            # An earlier stage may have the longer pairs.
            longest = max((self.load(index) for index in range(stage + 1)), key=lambda one: one.row_tokens)
            skip, order = self.used, densely(pairs, order, longest.row_tokens)
            for batch, used in pack(pairs, order[skip:], longest.rows, longest.row_tokens):
                self.used = skip + used
                yield batch
                if self.stage != stage:
                    return
            self.epoch, self.used = self.epoch + 1, 0

    def _mixture(self, stage: int) -> tuple[EncodedPairs, NDArray[np.int64]]:
        current = self.load(stage)
        order = current.order(self._recipe, self.epoch)
        if stage == 0:
            return current.pairs, order
        rng = np.random.default_rng([self._recipe.seed, self.epoch, stage])
        share = int(len(order) * self._recipe.replay / (1 - self._recipe.replay) / stage)
        merged, orders = current.pairs, [order]
        for earlier in map(self.load, range(stage)):
            old = earlier.order(self._recipe, self.epoch)[:share]
            orders.append(old + len(merged))
            merged = _joined(merged, earlier.pairs)
        return merged, rng.permutation(np.concatenate(orders))


def _joined(one: EncodedPairs, other: EncodedPairs) -> EncodedPairs:
    return EncodedPairs(
        np.concatenate([one.ids, other.ids]),
        np.concatenate([one.start, other.start[1:] + one.start[-1]]),
        np.concatenate([one.prefix, other.prefix]),
        np.concatenate([one.evidence, other.evidence]),
    )
