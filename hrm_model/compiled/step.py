"""The compiled step (step.c) from Python: weights in panels, a network's addresses, and a step's tokens."""

import ctypes
import weakref
from collections.abc import Callable
from collections.abc import Sequence as Items
from ctypes import byref, c_int64
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from hrm_model.cache import KvCache, PagedCache
from hrm_model.cache_int8 import Int8Cache
from hrm_model.compiled.library import library
from hrm_model.compiled.panels import PANEL, Kind, Panels, fits, packed_panels
from hrm_model.compiled.structs import Layer, Matrix, Network, Step
from hrm_model.layers import Block, Rotary, Stack
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS
from hrm_model.projections.int4 import GROUP
from hrm_model.projections.panelled import PanelledLinear
from hrm_model.sequence import Sequence

_KEPT = (torch.float32, torch.bfloat16, torch.int8)  # numbers of keys and values, as engine.h counts them


@dataclass(frozen=True, slots=True)
class Token:
    """A token that a step reads: its id, its place in its sequence, and whether its logits are wanted."""

    sequence: Sequence
    id: int
    position: int
    is_wanted: bool


def objection(model: HrmText, cache: KvCache) -> str | None:
    """Why the compiled step cannot take this network and cache; None where it can."""
    config = model.config
    weight = model.model.embed_tokens.weight
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return f"the network computes in {str(weight.dtype).removeprefix('torch.')} on {weight.device.type}"
    if isinstance(cache, PagedCache) and cache.key.dtype is not weight.dtype:
        return f"its keys and values are in {str(cache.key.dtype).removeprefix('torch.')}"
    if not fits(config):
        return f"its width, heads or feed-forward are no multiples of {PANEL}"
    try:
        library()
    except OSError as error:
        return str(error)
    kind = torch.nn.Linear if weight.dtype is torch.float32 else PanelledLinear
    if not all(isinstance(module, kind) for module in _projections(model)):
        return f"its weights are in no panels: rounded in fp32, in int4 by other groups than of {GROUP}, or too large"
    return None


class CompiledStep:
    """A network and its cache behind one call. Only one thread may call it at a time."""

    def __init__(
        self,
        model: HrmText,
        cache: PagedCache | Int8Cache,
        *,
        threads: int,
        is_wide: bool | None = None,
        most_tokens: int | None = None,
    ) -> None:
        """Pack the weights; threads - 1 threads begin, and end when this is forgotten.

        Args:
            is_wide: whether it computes in vectors of 512 bits, which changes no bit of it; None: where that is faster.
            most_tokens: of a step that is faster here than on torch; None: any.

        Raises:
            MemoryError: there is no memory for it, or no more threads.
        """
        config, body = model.config, model.model
        functions = library()
        dtype = body.embed_tokens.weight.dtype
        self.reads_prompts = dtype is torch.float32 or all(map(_is_alone, _projections(model)))
        self.most_tokens = most_tokens
        self.is_wide = bool(functions.hrm_is_wide_here()) if is_wide is None else is_wide
        self._cache, self._kept = cache, list[object]()
        rotary = Rotary(torch.arange(config.max_position_embeddings), config.head_dim, config.rope_theta, torch.float32)
        self._width, self._vocab, self._layer_count = config.hidden_size, config.vocab_size, model.layers
        network = Network(
            width=config.hidden_size,
            heads=config.num_heads,
            head_dim=config.head_dim,
            feed=config.intermediate_size,
            vocab=config.vocab_size,
            layers=config.layers_per_stack,
            passes=len(model.passes),
            cycle=config.L_cycles + 1,
            threads=threads,
            eps=config.rms_norm_eps,
            scale=config.embedding_scale,
            embedding=self._address(body.embed_tokens.weight),
            start=self._address(body.z_L_init.float()),
            cosine=self._address(rotary.cosine_TK),
            sine=self._address(rotary.sine_TK),
            fast=self._layers(body.L_module),
            slow=self._layers(body.H_module),
            head=self._matrix(packed_panels(model.lm_head.weight)),
            is_short=dtype is torch.bfloat16,
            **_kept(cache),
        )
        self._positions = config.max_position_embeddings
        self._step = functions.hrm_step
        self._engine = functions.hrm_open(byref(network))
        if not self._engine:
            raise MemoryError("no memory or threads for the compiled step")
        # Not at the interpreter's exit: the engine's thread may then be in the middle of a step.
        weakref.finalize(self, functions.hrm_close, self._engine).atexit = False

    def __call__(self, tokens: Items[Token]) -> Tensor:
        """Read tokens into the cache, each after those of its sequence that stand before it.

        Returns:
            (R, V) fp32 logits after the tokens that want them, in order.
        """
        logits_RV = self.begin(tokens).advance(self._layer_count)
        assert logits_RV is not None
        return logits_RV

    def begin(self, tokens: Items[Token]) -> "Underway":
        """As a call, but to be made some layers at a time, with other calls in between.

        Raises:
            IndexError: a token is outside the vocabulary, the positions or its sequence's pages; C would not notice.
        """
        for token in tokens:
            self._refuse_outside(token)
        return Underway(self._run, tokens, self._width, self._vocab, self._layer_count)

    def _refuse_outside(self, token: Token) -> None:
        if not 0 <= token.id < self._vocab:
            raise IndexError(f"token {token.id} of a vocabulary of {self._vocab}")
        readable = max(token.position + 1, token.sequence.prompt_len)
        if not 0 <= token.position < readable <= min(self._positions, len(token.sequence.pages) * PAGE_TOKENS):
            raise IndexError(f"position {token.position} with {len(token.sequence.pages)} pages of {PAGE_TOKENS}")

    def _run(self, step: Step) -> None:
        if self._step(self._engine, byref(step), self._positions):
            raise MemoryError(f"no memory for a step of {step.tokens} tokens")

    def _layers(self, stack: Stack) -> "ctypes.Array[Layer]":
        layers = (Layer * len(stack.layers))()
        for layer, block in zip(layers, stack.layers, strict=True):
            assert isinstance(block, Block)
            layer.gqkv, layer.out, layer.gate_up, layer.down = map(self._matrix, map(_panels_of, _matrices(block)))
        self._kept.append(layers)
        return layers

    def _matrix(self, panels: Panels) -> Matrix:
        scale = None if panels.scale_O is None else self._address(panels.scale_O)
        return Matrix(self._address(panels.packed), scale, get_args(Kind).index(panels.kind), self.is_wide)

    def _address(self, tensor: Tensor) -> int:
        self._kept.append(kept := tensor.contiguous())
        return kept.data_ptr()


class Underway:
    """Tokens on their way through the layers. Where they stand is held here, so that others may go in between."""

    def __init__(self, run: Callable[[Step], None], tokens: Items[Token], width: int, vocab: int, layers: int) -> None:
        pages: list[int] = []
        page_at: dict[int, int] = {}
        for token in tokens:
            if id(token.sequence) not in page_at:
                page_at[id(token.sequence)] = len(pages)
                pages += token.sequence.pages
        columns = (
            [token.id for token in tokens],
            [token.position for token in tokens],
            [max(token.position + 1, token.sequence.prompt_len) for token in tokens],
            [page_at[id(token.sequence)] for token in tokens],
            pages,
            [row for row, token in enumerate(tokens) if token.is_wanted],
        )
        self._arrays = [(c_int64 * len(column))(*column) for column in columns]
        self._state_3TD = torch.empty(3, len(tokens), width)
        self._logits_RV = torch.empty(len(columns[-1]), -(-vocab // PANEL) * PANEL)
        self._run, self._vocab, self._layers = run, vocab, layers
        self._step = Step(
            len(tokens),
            len(columns[-1]),
            *map(ctypes.addressof, self._arrays),
            0,
            0,
            *(part_TD.data_ptr() for part_TD in self._state_3TD),
            self._logits_RV.data_ptr(),
        )

    def advance(self, layers: int) -> Tensor | None:
        """Go through so many layers more, and return the logits once all are behind."""
        step = self._step
        step.first_layer, step.end_layer = step.end_layer, min(step.end_layer + layers, self._layers)
        self._run(step)
        return self._logits_RV[:, : self._vocab] if step.end_layer == self._layers else None


def _kept(cache: PagedCache | Int8Cache) -> dict[str, int]:
    """Where keys and values are, and in which numbers; the cache outlives the step."""
    if isinstance(cache, Int8Cache):
        return {
            "keys": cache.key.whole.data_ptr(),
            "values": cache.value.whole.data_ptr(),
            "key_worth": cache.key.scale.data_ptr(),
            "value_worth": cache.value.scale.data_ptr(),
            "slot_size": cache.key.whole.stride(0),
            "kept": _KEPT.index(torch.int8),
        }
    return {
        "keys": cache.key.data_ptr(),
        "values": cache.value.data_ptr(),
        "slot_size": cache.key.stride(0),
        "kept": _KEPT.index(cache.key.dtype),
    }


def _projections(model: HrmText) -> list[torch.nn.Module]:
    blocks = [*model.model.L_module.layers, *model.model.H_module.layers]
    return [module for block in blocks if isinstance(block, Block) for module in _matrices(block)]


def _matrices(block: Block) -> tuple[torch.nn.Module, ...]:
    return (block.attn.gqkv_proj, block.attn.o_proj, block.mlp.gate_up_proj, block.mlp.down_proj)


def _is_alone(projection: torch.nn.Module) -> bool:
    return isinstance(projection, PanelledLinear) and projection.is_alone


def _panels_of(projection: torch.nn.Module) -> Panels:
    if isinstance(projection, PanelledLinear):
        return projection.panels
    assert isinstance(projection, torch.nn.Linear)
    return packed_panels(projection.weight)
