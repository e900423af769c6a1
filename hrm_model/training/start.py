"""The weights that training starts from: random, or random with heads that already look where a reader looks.

To answer from a passage a network has to find the place that speaks of what was asked, and copy what stands there.
From random weights a small one finds the copying soon and the place hardly ever (tests/bench/recall.py shows how
late). A "reading" start gives each layer four kinds of heads in turn, whose weights training then changes like any
others:

* one that looks for tokens like its own far back, which leads from the question into the passages,
* one that looks for tokens like its own anywhere,
* one that looks at the dozen tokens around, so that a position knows what its sentence speaks of,
* one that looks at the token before.

The first two share query and key; position is told apart by the speed at which rotary pairs turn. The other two find
positions by the one direction that all states share, z_L_init. Every head copies what it sees: o_proj is the transpose
of an orthogonal v_proj. And frequent tokens start with small embeddings: what they have in common says little.

Starting attention in the shape that trained networks have is Trockman and Kolter's idea (Mimetic Initialization of
Self-Attention Layers, 2023). Letters: see hrm_model/config.py; P is the number of rotary pairs in a head, K/2.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from hrm_model.config import HrmConfig
from hrm_model.layers import Block
from hrm_model.model import HrmText

Start = Literal["reading", "random"]
STARTS: tuple[Start, ...] = get_args(Start)

# Which rotary pairs a head uses, by radians a token.
_FAR = (0.0018, 0.04)  # turn by a right angle within 40 to 900 tokens
_ANYWHERE = (0.0, 0.02)
_AROUND = (0.05, 0.33)
_BEFORE = (0.12, 1.01)
_BACK = 1.2  # radians by which a far match leans back; a right angle would give the own position nothing at all
_AROUND_SCORE, _BEFORE_SCORE = 5.25, 22.0  # above that of a place far off, before the softmax
_RANDOM_PART = 0.3  # of the random rows that stays in heads that look at places
_RAREST, _COMMONEST = 1.2, 0.5  # sizes of embeddings


def initialise(
    config: HrmConfig,
    seed: int,
    start: Start = "random",
    *,
    count_V: Tensor | None = None,
    vectors_VD: Tensor | None = None,
) -> HrmText:
    """A fresh network in fp32: LeCun-normal matrices, a normal embedding, and a frozen random z_L_init.

    z_L_init is drawn rather than zero, so that a server which loses it answers differently and is found out.

    Args:
        count_V: how often training meets each token; sizes the embeddings of a reading start.
        vectors_VD: what the embedding starts from, instead of random rows, as far as it goes; of unit variance.
    """
    generator = torch.Generator().manual_seed(seed)
    model = HrmText(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("z_L_init"):
                parameter.normal_(generator=generator)
            elif "embed_tokens" in name:
                parameter.normal_(std=1.0 / config.embedding_scale, generator=generator)
            else:
                parameter.normal_(std=parameter.shape[1] ** -0.5, generator=generator)
        table_VD = model.model.embed_tokens.weight
        if vectors_VD is not None:
            table_VD[: len(vectors_VD)] = vectors_VD / config.embedding_scale
        if start == "reading":
            for stack in (model.model.L_module, model.model.H_module):
                for layer in stack.layers:
                    assert isinstance(layer, Block)
                    _Reader(config, model.model.z_L_init, generator).shape(layer)
            if count_V is not None:
                table_VD *= _sizes(count_V)[:, None]
    return model


def _sizes(count_V: Tensor) -> Tensor:
    """Sizes of embeddings by how much a token tells: a third of its surprise in bits, within bounds."""
    share_V = (count_V.float() + 1) / (count_V.sum() + len(count_V))
    return (-share_V.log() / 8).clamp(_COMMONEST, _RAREST)


class _Reader:
    """Gives a layer's heads their first look."""

    def __init__(self, config: HrmConfig, shared_D: Tensor, generator: torch.Generator) -> None:
        self._config, self._generator = config, generator
        # A shared direction that is half of each unit-variance state comes out as 1.
        self._towards_D = 2 * shared_D / shared_D.norm() / config.hidden_size**0.5
        self._speed_P = config.rope_theta ** (-2 * torch.arange(config.head_dim // 2) / config.head_dim)

    def shape(self, layer: Block) -> None:
        heads, size, hidden = self._config.num_heads, self._config.head_dim, self._config.hidden_size
        _, query_NKD, key_NKD, value_NKD = layer.attn.gqkv_proj.weight.view(4, heads, size, hidden)
        orthogonal = torch.nn.init.orthogonal_(torch.empty(heads * size, hidden), generator=self._generator)
        value_NKD.copy_(orthogonal.view(heads, size, hidden))
        layer.attn.o_proj.weight.copy_(orthogonal.T)
        looks: tuple[Callable[[Tensor, Tensor], None], ...] = (
            lambda query_KD, key_KD: self._match(query_KD, key_KD, _FAR, _BACK),
            lambda query_KD, key_KD: self._match(query_KD, key_KD, _ANYWHERE, 0.0),
            lambda query_KD, key_KD: self._place(query_KD, key_KD, _AROUND, 0, _AROUND_SCORE),
            lambda query_KD, key_KD: self._place(query_KD, key_KD, _BEFORE, -1, _BEFORE_SCORE),
        )
        for head in range(heads):
            looks[head % len(looks)](query_NKD[head], key_NKD[head])

    def _within(self, speeds: tuple[float, float]) -> Tensor:
        return ((self._speed_P > speeds[0]) & (self._speed_P <= speeds[1])).float()

    def _match(self, query_KD: Tensor, key_KD: Tensor, speeds: tuple[float, float], lean: float) -> None:
        """Make query and key one projection, the key turned by `lean` radians in every pair."""
        chosen_P = self._within(speeds)
        query_KD *= (chosen_P * (len(chosen_P) / chosen_P.sum()) ** 0.5).repeat(2)[:, None]
        key_KD.copy_(_turned(query_KD, torch.full_like(chosen_P, lean)))

    def _place(self, query_KD: Tensor, key_KD: Tensor, speeds: tuple[float, float], offset: int, score: float) -> None:
        """Make position i look at i + offset, whatever stands there."""
        chosen_P = self._within(speeds)
        size = (score * self._config.head_dim**0.5 / chosen_P.sum()) ** 0.5
        phase_P = 2 * torch.pi * torch.rand(len(chosen_P), generator=self._generator)
        wanted_K = size * torch.cat([chosen_P * phase_P.cos(), chosen_P * phase_P.sin()])
        for rows_KD, turn_P in ((query_KD, 0 * self._speed_P), (key_KD, -offset * self._speed_P)):
            rows_KD.mul_(_RANDOM_PART).add_(_turned(wanted_K[:, None], turn_P) * self._towards_D)


def _turned(rows_KD: Tensor, angle_P: Tensor) -> Tensor:
    """Rotate the first half of the rows against the second, as rotary positions do."""
    first_PD, second_PD = rows_KD.chunk(2)
    cos_P1, sin_P1 = angle_P.cos()[:, None], angle_P.sin()[:, None]
    return torch.cat([first_PD * cos_P1 - second_PD * sin_P1, second_PD * cos_P1 + first_PD * sin_P1])
