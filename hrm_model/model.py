"""The H/L recurrence: each token goes through two stacks in turn, eight passes in the published model.

Written once for training, reading prompts and writing answers: they differ only in the `Attend` that they bring.
"""

from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hrm_model.config import HrmConfig
from hrm_model.layers import Attend, Rotary, Stack


@dataclass(frozen=True, slots=True)
class Pass:
    """One trip through a stack. Its layers cache K/V in `first_slot` and the slots after it."""

    index: int
    is_slow: bool  # H, not L
    first_slot: int


@dataclass(slots=True)
class State:
    """Where a forward stands between two passes. It may be kept and resumed: nothing else is carried."""

    slow_TD: Tensor  # z_H
    fast_TD: Tensor  # z_L


def schedule(config: HrmConfig) -> Iterator[Pass]:
    """The passes in order: per H cycle, L_cycles of L and one of H.

    Slots are numbered as in transformers: (h * (L_cycles + 1) + l) * layers + layer.
    """
    for index in range(config.passes):
        yield Pass(index, (index + 1) % (config.L_cycles + 1) == 0, index * config.layers_per_stack)


def passes_with_gradient(config: HrmConfig, steps: int) -> frozenset[int]:
    """Choose the passes that back-propagate when only `steps` of them may.

    H passes come first, or the embedding would get no gradient at all; then, cycle by cycle from the last, the
    L passes nearest to their H pass. With 2 cycles of 3, five steps are both H, the last two L of the second
    cycle and the last L of the first: transformers' default `L_bp_cycles`.
    """
    passes = list(schedule(config))
    slow = [p.index for p in reversed(passes) if p.is_slow]
    fast = [end - back for back in range(1, config.L_cycles + 1) for end in slow]
    return frozenset((slow + fast)[:steps])


class Body(nn.Module):
    """Embedding, the two stacks, and the state that L starts from."""

    def __init__(self, config: HrmConfig) -> None:
        super().__init__()
        # Left as it comes, for whoever loads or draws the weights: drawing it on the meta device, where loading builds
        # the network, makes torch import its compiler, which takes seconds.
        blank_VD = torch.empty(config.vocab_size, config.hidden_size)
        self.embed_tokens = nn.Embedding.from_pretrained(blank_VD, freeze=False)  # type: ignore[no-untyped-call]  # torch's
        self.L_module = Stack(config)
        self.H_module = Stack(config)
        # Frozen in training, but not always zero in a checkpoint: it must be loaded.
        self.z_L_init = nn.Parameter(torch.zeros(config.hidden_size), requires_grad=False)


class HrmText(nn.Module):
    """The network. Parameter names are those of the checkpoint."""

    def __init__(self, config: HrmConfig) -> None:
        super().__init__()
        self.config = config
        self.passes = tuple(schedule(config))
        self.model = Body(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def begin(self, ids_T: Tensor) -> State:
        """Embed the tokens: z_H is the scaled embedding, z_L its initial state at every position."""
        slow_TD = self.model.embed_tokens(ids_T) * self.config.embedding_scale
        return State(slow_TD, self.model.z_L_init.to(slow_TD.dtype).expand_as(slow_TD))

    def advance(self, state: State, step: Pass, rotary: Rotary, attend: Attend) -> State:
        """Make one pass: z_H = H(z_H + z_L), or z_L = L(z_L + z_H)."""
        both_TD = state.slow_TD + state.fast_TD
        if step.is_slow:
            return State(self.model.H_module(both_TD, rotary, step.first_slot, attend), state.fast_TD)
        return State(state.slow_TD, self.model.L_module(both_TD, rotary, step.first_slot, attend))

    def rotary(self, position_T: Tensor, dtype: torch.dtype) -> Rotary:
        """Rotary factors for tokens at `position_T` of their own sequences."""
        return Rotary(position_T, self.config.head_dim, self.config.rope_theta, dtype)

    def forward(
        self, ids_T: Tensor, position_T: Tensor, attend: Attend, *, gradient_steps: int | None = None
    ) -> Tensor:
        """Run all passes; (T, D) z_H after the last of `cycles`. `logits` turns rows of it into (.., V)."""
        return self.cycles(ids_T, position_T, attend, gradient_steps=gradient_steps)[-1]

    def cycles(
        self, ids_T: Tensor, position_T: Tensor, attend: Attend, *, gradient_steps: int | None = None
    ) -> list[Tensor]:
        """Run all passes.

        Args:
            ids_T: (T,) int64, tokens of any number of sequences, end to end.
            position_T: (T,) int64, each token's position in its own sequence.
            attend: which keys each query meets; owns all knowledge of sequence borders.
            gradient_steps: passes that back-propagate (see `passes_with_gradient`); None: all.

        Returns:
            (T, D) z_H after each H pass, in order.
        """
        state = self.begin(ids_T)
        rotary = self.rotary(position_T, self.compute_dtype(state.slow_TD))
        chosen = None if gradient_steps is None else passes_with_gradient(self.config, gradient_steps)
        after: list[Tensor] = []
        for step in self.passes:
            with nullcontext() if chosen is None or step.index in chosen else torch.no_grad():
                state = self.advance(state, step, rotary, attend)
            if step.is_slow:
                after.append(state.slow_TD)
        return after

    def paced(self, ids_T: Tensor, position_T: Tensor, attend: Attend) -> Generator[None, None, Tensor]:
        """Do as `forward` without gradients, pausing after each layer of each pass: `layers` times.

        Where it stands between two layers is all that the generator holds, so others may compute in the meantime. Who
        advances it turns gradients off; a generator cannot do that for its caller.
        """
        state = self.begin(ids_T)
        rotary = self.rotary(position_T, self.compute_dtype(state.slow_TD))
        for step in self.passes:
            stack = self.model.H_module if step.is_slow else self.model.L_module
            out_TD = yield from stack.paced(state.slow_TD + state.fast_TD, rotary, step.first_slot, attend)
            state = State(out_TD, state.fast_TD) if step.is_slow else State(state.slow_TD, out_TD)
        return state.slow_TD

    @property
    def layers(self) -> int:
        """Layers that a token goes through, all passes together."""
        return len(self.passes) * self.config.layers_per_stack

    def logits(self, slow_TD: Tensor) -> Tensor:
        """(T, V) next-token logits in the weights' dtype."""
        return functional.linear(slow_TD, self.lm_head.weight)

    @staticmethod
    def compute_dtype(x: Tensor) -> torch.dtype:
        """The dtype that projections of `x` come out in: autocast's where it is on."""
        return torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
