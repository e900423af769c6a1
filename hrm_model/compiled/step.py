"""The compiled step (step.c) from Python: weights in panels, a network's addresses, and a step's tokens."""

import ctypes
import weakref
from collections.abc import Callable
from collections.abc import Sequence as Items
from ctypes import POINTER, Structure, byref, c_float, c_int64, c_void_p
from dataclasses import dataclass

import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.compiled.library import library
from hrm_model.layers import Block, Rotary, Stack
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS
from hrm_model.sequence import Sequence

PANEL = 16  # outputs whose weights lie side by side
_HALF = 2 * PANEL  # of what is fed forward in one go: as many gates beside as many that they let through


class _Matrix(Structure):
    _fields_ = (("packed", c_void_p), ("is_bf16", c_int64), ("is_wide", c_int64))


class _Layer(Structure):
    _fields_ = tuple((name, _Matrix) for name in ("gqkv", "out", "gate_up", "down"))


class _Network(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("width", "heads", "head_dim", "feed", "vocab")),
        *((name, c_int64) for name in ("layers", "passes", "cycle", "threads")),
        *((name, c_float) for name in ("eps", "scale")),
        *((name, c_void_p) for name in ("embedding", "start", "cosine", "sine")),
        *((name, POINTER(_Layer)) for name in ("fast", "slow")),
        ("head", _Matrix),
        *((name, c_void_p) for name in ("keys", "values")),
        ("slot_size", c_int64),
    )


class _Step(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("tokens", "wanted")),
        *((name, c_void_p) for name in ("id", "position", "readable", "page_at", "page", "wanted_row")),
        *((name, c_int64) for name in ("first_layer", "end_layer")),
        *((name, c_void_p) for name in ("slow", "fast", "x", "logits")),
    )


@dataclass(frozen=True, slots=True)
class Token:
    """A token that a step reads: its id, its place in its sequence, and whether its logits are wanted."""

    sequence: Sequence
    id: int
    position: int
    is_wanted: bool


def objection(model: HrmText, cache: object) -> str | None:
    """Why the compiled step cannot take this network and cache; None where it can."""
    config = model.config
    weight = model.model.embed_tokens.weight
    if weight.device.type != "cpu" or weight.dtype is not torch.float32:
        return f"the network computes in {str(weight.dtype).removeprefix('torch.')} on {weight.device.type}"
    if not all(isinstance(module, torch.nn.Linear) for module in _projections(model)):
        return "its weights are rounded"
    if type(cache) is not PagedCache or cache.key.dtype is not torch.float32:
        return "its keys and values are rounded"
    if config.hidden_size % PANEL or config.head_dim % PANEL or config.intermediate_size % _HALF:
        return f"its width and heads are no multiples of {PANEL}, or its feed-forward none of {_HALF}"
    return None


class CompiledStep:
    """A network and its cache behind one call. Only one thread may call it at a time."""

    def __init__(self, model: HrmText, cache: PagedCache, *, threads: int, is_wide: bool | None = None) -> None:
        """Pack the weights; threads - 1 threads begin, and end when this is forgotten.

        Args:
            is_wide: whether it computes in vectors of 512 bits, which changes no bit of it; None: where that is faster.

        Raises:
            MemoryError: there is no memory for it, or no more threads.
        """
        config, body = model.config, model.model
        functions = loaded()
        self.is_wide = bool(functions.hrm_is_wide_here()) if is_wide is None else is_wide
        self._cache, self._kept = cache, list[object]()
        rotary = Rotary(torch.arange(config.max_position_embeddings), config.head_dim, config.rope_theta, torch.float32)
        self._width, self._vocab, self._layer_count = config.hidden_size, config.vocab_size, model.layers
        network = _Network(
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
            start=self._address(body.z_L_init),
            cosine=self._address(rotary.cosine_TK),
            sine=self._address(rotary.sine_TK),
            fast=self._layers(body.L_module),
            slow=self._layers(body.H_module),
            head=self._matrix(model.lm_head.weight),
            keys=cache.key.data_ptr(),
            values=cache.value.data_ptr(),
            slot_size=cache.key.stride(0),
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
        readable = max(token.position + 1, token.sequence.prefix_len)
        if not 0 <= token.position < readable <= min(self._positions, len(token.sequence.pages) * PAGE_TOKENS):
            raise IndexError(f"position {token.position} with {len(token.sequence.pages)} pages of {PAGE_TOKENS}")

    def _run(self, step: _Step) -> None:
        if self._step(self._engine, byref(step), self._positions):
            raise MemoryError(f"no memory for a step of {step.tokens} tokens")

    def _layers(self, stack: Stack) -> "ctypes.Array[_Layer]":
        layers = (_Layer * len(stack.layers))()
        for layer, block in zip(layers, stack.layers, strict=True):
            assert isinstance(block, Block)
            layer.gqkv, layer.out = self._matrix(block.attn.gqkv_proj.weight), self._matrix(block.attn.o_proj.weight)
            layer.gate_up = self._matrix(_side_by_side(block.mlp.gate_up_proj.weight))
            layer.down = self._matrix(block.mlp.down_proj.weight)
        self._kept.append(layers)
        return layers

    def _matrix(self, weight_OI: Tensor) -> _Matrix:
        packed = packed_panels(weight_OI)
        return _Matrix(self._address(packed), packed.dtype is torch.bfloat16, self.is_wide)

    def _address(self, tensor: Tensor) -> int:
        self._kept.append(kept := tensor.contiguous())
        return kept.data_ptr()


class Underway:
    """Tokens on their way through the layers. Where they stand is held here, so that others may go in between."""

    def __init__(self, run: Callable[[_Step], None], tokens: Items[Token], width: int, vocab: int, layers: int) -> None:
        pages: list[int] = []
        page_at: dict[int, int] = {}
        for token in tokens:
            if id(token.sequence) not in page_at:
                page_at[id(token.sequence)] = len(pages)
                pages += token.sequence.pages
        columns = (
            [token.id for token in tokens],
            [token.position for token in tokens],
            [max(token.position + 1, token.sequence.prefix_len) for token in tokens],
            [page_at[id(token.sequence)] for token in tokens],
            pages,
            [row for row, token in enumerate(tokens) if token.is_wanted],
        )
        self._arrays = [(c_int64 * len(column))(*column) for column in columns]
        self._state_3TD = torch.empty(3, len(tokens), width)
        self._logits_RV = torch.empty(len(columns[-1]), -(-vocab // PANEL) * PANEL)
        self._run, self._vocab, self._layers = run, vocab, layers
        self._step = _Step(
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


def loaded() -> ctypes.CDLL:
    """The library, once its structs are known to be these.

    Raises:
        OSError: see `library`; or it was built from another version of step.c.
    """
    found = library()
    if found.hrm_layout() != ctypes.sizeof(_Network) << 16 | ctypes.sizeof(_Step):
        raise OSError("it was built from another version of step.c; install again")
    return found


def packed_panels(weight_OI: Tensor) -> Tensor:
    """Lay a weight out as step.c reads it: in bf16 where that says the same, else in fp32.

    Args:
        weight_OI: (O, I) fp32.

    Returns:
        (P, I, PANEL): for each panel of outputs and each input its weights. Past the last output there are zeros. In
        bf16 the panel's two halves are zipped, so that each pair makes one 32-bit number.
    """
    padded_OI = torch.nn.functional.pad(weight_OI, (0, 0, 0, -len(weight_OI) % PANEL))
    panels_PIO = padded_OI.view(-1, PANEL, padded_OI.shape[1]).transpose(1, 2)
    short_PIO = panels_PIO.bfloat16()
    if not torch.equal(short_PIO.float(), panels_PIO):
        return panels_PIO.contiguous()
    return torch.stack(short_PIO.chunk(2, dim=-1), dim=-1).flatten(2).contiguous()


def _side_by_side(gate_up_OI: Tensor) -> Tensor:
    """Rows gate | up reordered so that each half unit of gates is followed by what they let through."""
    _, inputs = gate_up_OI.shape
    return gate_up_OI.view(2, -1, _HALF, inputs).transpose(0, 1).reshape(-1, inputs)


def _projections(model: HrmText) -> list[torch.nn.Module]:
    blocks = [*model.model.L_module.layers, *model.model.H_module.layers]
    return [
        module
        for block in blocks
        if isinstance(block, Block)
        for module in (block.attn.gqkv_proj, block.attn.o_proj, block.mlp.gate_up_proj, block.mlp.down_proj)
    ]
