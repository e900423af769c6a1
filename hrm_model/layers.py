"""The pieces of a stack: norm, rotary positions, gated attention, SwiGLU. No recurrence, no cache.

Parameter names are the checkpoint's own, so that loading is a plain copy. The dimension key stands in
hrm_model/config.py. Source: transformers 5.24 models/hrm_text/modeling_hrm_text.py; pinned by tests/parity.
"""

from collections.abc import Generator
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from hrm_model.config import HrmConfig


class Attend(Protocol):
    """What differs between training, reading a prompt and writing an answer: which keys a query meets."""

    def __call__(self, slot: int, query_TNK: Tensor, key_TNK: Tensor, value_TNK: Tensor) -> Tensor:
        """Store keys and values of `slot`, attend, and return (T, N, K). Queries and keys are rotated already."""
        ...


class Rotary:
    """Cosines and sines of some positions, made once a forward and shared by all its passes.

    On a CPU a small network's step is spent on calling kernels, not in them: query and key turn in one go.
    """

    def __init__(self, position_T: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> None:
        exponent = torch.arange(0, head_dim, 2, dtype=torch.float32, device=position_T.device) / head_dim
        angle = position_T[:, None].float() * (1.0 / theta**exponent)
        self.cosine_TK, self.sine_TK = angle.cos().to(dtype), angle.sin().to(dtype)  # (T, K/2)
        self._cos, self._sin = self.cosine_TK[:, None, None], self.sine_TK[:, None, None]  # (T, 1, 1, K/2)
        self._minus_sin = -self._sin

    def __call__(self, x_TXNK: Tensor) -> Tensor:
        """Rotate the first half of each head against its second half; X counts what turns alike: query and key."""
        first, second = x_TXNK.chunk(2, dim=-1)
        turned = (
            torch.addcmul(first * self._cos, second, self._minus_sin),
            torch.addcmul(second * self._cos, first, self._sin),
        )
        return torch.cat(turned, dim=-1)


def rms_norm(x_TD: Tensor, eps: float) -> Tensor:
    """Normalise without parameters, in fp32 whatever the input's dtype."""
    return functional.rms_norm(x_TD, x_TD.shape[-1:], eps=eps)


class GatedAttention(nn.Module):
    """Multi-head attention whose output is gated by a sigmoid of its input."""

    def __init__(self, config: HrmConfig) -> None:
        super().__init__()
        inner = config.num_heads * config.head_dim
        self.heads, self.head_dim = config.num_heads, config.head_dim
        self.gqkv_proj = nn.Linear(config.hidden_size, 4 * inner, bias=False)  # rows: gate | query | key | value
        self.o_proj = nn.Linear(inner, config.hidden_size, bias=False)

    def forward(self, x_TD: Tensor, rotary: Rotary, slot: int, attend: Attend) -> Tensor:
        parts = self.gqkv_proj(x_TD).view(-1, 4, self.heads, self.head_dim)
        gate_TNK, _, _, value_TNK = parts.unbind(1)
        query_TNK, key_TNK = rotary(parts[:, 1:3]).unbind(1)
        out_TNK = attend(slot, query_TNK, key_TNK, value_TNK)
        projected: Tensor = self.o_proj((torch.sigmoid(gate_TNK) * out_TNK).flatten(1))
        return projected


class SwiGlu(nn.Module):
    """The feed-forward half of a block."""

    def __init__(self, config: HrmConfig) -> None:
        super().__init__()
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)  # rows: gate | up
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_TD: Tensor) -> Tensor:
        gate_TF, up_TF = self.gate_up_proj(x_TD).chunk(2, dim=-1)
        down: Tensor = self.down_proj(functional.silu(gate_TF) * up_TF)
        return down


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each added to the residual."""

    def __init__(self, config: HrmConfig) -> None:
        super().__init__()
        self.eps = config.rms_norm_eps
        self.attn = GatedAttention(config)
        self.mlp = SwiGlu(config)

    def forward(self, x_TD: Tensor, rotary: Rotary, slot: int, attend: Attend) -> Tensor:
        x_TD = x_TD + self.attn(rms_norm(x_TD, self.eps), rotary, slot, attend)
        out: Tensor = x_TD + self.mlp(rms_norm(x_TD, self.eps))
        return out


class Stack(nn.Module):
    """One module, H or L: blocks, then a norm that keeps the recurrence bounded (MagicNorm)."""

    def __init__(self, config: HrmConfig) -> None:
        super().__init__()
        self.eps = config.rms_norm_eps
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers_per_stack))

    def forward(self, x_TD: Tensor, rotary: Rotary, first_slot: int, attend: Attend) -> Tensor:
        for index, layer in enumerate(self.layers):
            x_TD = layer(x_TD, rotary, first_slot + index, attend)
        return rms_norm(x_TD, self.eps)

    def paced(self, x_TD: Tensor, rotary: Rotary, first_slot: int, attend: Attend) -> Generator[None, None, Tensor]:
        """Do as `forward`, pausing after each block."""
        for index, layer in enumerate(self.layers):
            x_TD = layer(x_TD, rotary, first_slot + index, attend)
            yield
        return rms_norm(x_TD, self.eps)
