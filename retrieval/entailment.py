"""Does a sentence of a document say what a sentence of an answer says? Asked of the embedding model, adapted for that.

The adapter is a low-rank addition to the weights of all-MiniLM-L6-v2 (Hu et al. 2021, arXiv:2106.09685) and a head
for one number, trained on answers that people labelled: `python -m tests.bench.grounding.adapt`. It knows no rules:
numbers, names and denials are for the caller to compare.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from retrieval.claim import Claim

if TYPE_CHECKING:
    from transformers import BertModel

ADAPTER = Path(__file__).with_name("entailment.safetensors")
RANK = 32
_HIDDEN = 128
# Tokens that are read of each part; what is longer is cut at its end.
_QUESTION, _ANSWER, _TITLE, _BEFORE, _SOURCE = 40, 64, 16, 40, 90

Encode = Callable[[Sequence[str]], list[list[int]]]


class LowRank(nn.Module):
    """A linear layer whose weights stay, and what is added to what it gives."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down_RD = nn.Parameter(torch.randn(RANK, base.in_features) / base.in_features**0.5)
        self.up_DR = nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        added = functional.linear(functional.linear(x, self.down_RD), self.up_DR)
        return self.base(x) + added  # type: ignore[no-any-return]  # torch says Any of a module's call

    def merged(self) -> nn.Linear:
        """One layer that gives the same."""
        self.base.weight += self.up_DR @ self.down_RD
        return self.base


class Network(nn.Module):
    """The adapted model and its head: (B, T) tokens to (B,) logits."""

    def __init__(self, base: "BertModel") -> None:
        """Copy the parts of a model that are adapted; its word vectors are shared, and stay as they are."""
        super().__init__()
        words = base.embeddings.word_embeddings
        self.bert = copy.deepcopy(base, {id(words): words})
        for parameter in self.bert.parameters():
            parameter.requires_grad = False
        layers: Any = self.bert.encoder.layer  # torch's types stop here
        for layer in layers:
            attention = layer.attention
            for part, names in (
                (attention.self, ("query", "key", "value")),
                (attention.output, ("dense",)),
                (layer.intermediate, ("dense",)),
                (layer.output, ("dense",)),
            ):
                for name in names:
                    setattr(part, name, LowRank(getattr(part, name)))
            for norm in (attention.output.LayerNorm, layer.output.LayerNorm):
                norm.requires_grad_()
        self.bert.embeddings.token_type_embeddings.requires_grad_()
        size = base.config.hidden_size
        self.head = nn.Sequential(nn.Linear(2 * size, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 1))

    def forward(self, ids: Tensor, kinds: Tensor, mask: Tensor) -> Tensor:
        states_BTD = self.bert(input_ids=ids, token_type_ids=kinds, attention_mask=mask).last_hidden_state
        mean_BD = (states_BTD * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        logits: Tensor = self.head(torch.cat([states_BTD[:, 0], mean_BD], 1))[:, 0]
        return logits

    def adapted(self) -> dict[str, Tensor]:
        """What was trained, by name: all that an adapter file holds."""
        return {name: each.detach() for name, each in self.named_parameters() if each.requires_grad}

    def read(self, adapter: Path) -> None:
        """Take over what a file holds.

        Raises:
            OSError, ValueError: it cannot be read, or belongs to another network.
        """
        try:
            held = load_file(adapter)
        except SafetensorError as error:
            raise ValueError(f"{adapter} is damaged: {error}") from error
        wanted = self.adapted()
        if (found := _shapes(held)) != (due := _shapes(wanted)):
            raise ValueError(f"{adapter} is no adapter of this network: {min(found ^ due)[0]}")
        with torch.no_grad():
            for name, parameter in wanted.items():
                parameter.copy_(held[name])

    def merge(self) -> None:
        """Add the adapter into the copied weights, so that asking costs what the model itself does."""
        for module in list(self.bert.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, LowRank):
                    setattr(module, name, child.merged())


class Entailment:
    """The network with its adapter, ready to be asked."""

    def __init__(self, base: "BertModel", encode: Encode, marks: tuple[int, int], adapter: Path = ADAPTER) -> None:
        """Read the adapter.

        Args:
            base: all-MiniLM-L6-v2; it is left as it is.
            encode: texts to its tokens, without its marks.
            marks: its [CLS] and [SEP].

        Raises:
            OSError, ValueError: as `Network.read`.
        """
        self._encode, self._marks = encode, marks
        self._network = Network(base)
        self._network.read(adapter)
        with torch.no_grad():
            self._network.merge()
        self._network.eval()

    def entailed(self, claims: Sequence[Claim]) -> list[float]:
        """How likely it is, in 0..1, that each source says what the answer beside it says."""
        if not claims:
            return []
        with torch.inference_mode():
            logits = self._network(*batch([tokens(claim, self._encode, self._marks) for claim in claims]))
            return torch.sigmoid(logits).tolist()


def _shapes(tensors: Mapping[str, Tensor]) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(each.shape)) for name, each in tensors.items()}


def tokens(claim: Claim, encode: Encode, marks: tuple[int, int]) -> tuple[list[int], list[int]]:
    """The tokens of a claim, and of each whether it belongs to the answer (0) or to the document (1)."""
    begin, end = marks
    texts = (claim.question, claim.answer, claim.title, claim.before, claim.source)
    question, answer, title, before, source = (
        ids[:most] for ids, most in zip(encode(texts), (_QUESTION, _ANSWER, _TITLE, _BEFORE, _SOURCE), strict=True)
    )
    first = [begin, *question, end, *answer, end]
    second = [*title, end, *before, end, *source, end]
    return first + second, [0] * len(first) + [1] * len(second)


def batch(rows: Sequence[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of different lengths as (B, T) tokens, kinds and mask."""
    longest = max(len(ids) for ids, _ in rows)
    ids_BT, kinds_BT, mask_BT = (torch.zeros((len(rows), longest), dtype=torch.long) for _ in range(3))
    for row, (ids, kinds) in enumerate(rows):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
        kinds_BT[row, : len(kinds)] = torch.tensor(kinds)
        mask_BT[row, : len(ids)] = 1
    return ids_BT, kinds_BT, mask_BT
