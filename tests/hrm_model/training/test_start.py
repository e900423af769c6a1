"""The weights that training starts from: what is drawn, and where the heads of a reading start look at once."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hrm_model.config import HrmConfig
from hrm_model.layers import Block, Rotary, rms_norm
from hrm_model.model import HrmText
from hrm_model.training.run import Shape
from hrm_model.training.start import initialise
from hrm_model.training.vectors import Embed, token_vectors
from retrieval.embedder import MiniLM
from tests.hrm_model.training.copying import config, tokenizer

AWAY = 60  # tokens between a word and its second mention
FAR, ANYWHERE, AROUND, BEFORE = range(4)


def reader(seed: int = 0) -> HrmText:
    return initialise(Shape(hidden_size=256, intermediate_size=64).config(1000), seed, "reading")


def first_looks(model: HrmText) -> Tensor:
    """(N, 90, 90) attention of the first layer over 80 different tokens and ten of them again, 60 further on."""
    ids_T = torch.cat([torch.arange(80), torch.arange(20, 30)])
    layer = model.model.L_module.layers[0]
    assert isinstance(layer, Block)
    state = model.begin(ids_T)
    x_TD = rms_norm(state.slow_TD + state.fast_TD, model.config.rms_norm_eps)
    parts = layer.attn.gqkv_proj(x_TD).view(len(ids_T), 4, 4, 64)
    rotary = Rotary(torch.arange(len(ids_T)), 64, model.config.rope_theta, torch.float32)
    query_TNK, key_TNK = rotary(parts[:, 1:3]).unbind(1)
    scores_NTT = torch.einsum("tnk,snk->nts", query_TNK, key_TNK) / 8
    return scores_NTT.softmax(-1).detach()


def mean_look(head_TT: Tensor, offset: int, rows: range) -> float:
    return float(torch.stack([head_TT[i, i + offset] for i in rows]).mean())


@pytest.mark.parametrize("start", ["random", "reading"])
def test_the_seed_decides_the_weights(start: str) -> None:
    one, again, other = (initialise(config(), seed, start).state_dict() for seed in (1, 1, 2))  # type: ignore[arg-type]

    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_one_head_finds_the_same_token_far_back_and_not_itself() -> None:
    look_TT = first_looks(reader())[FAR]

    assert mean_look(look_TT, -AWAY, range(80, 90)) > 8 / 90  # eight times an even look
    assert mean_look(look_TT, AWAY, range(20, 30)) < 1 / 90, "what comes later is no business of this head"
    assert mean_look(look_TT, 0, range(80, 90)) < mean_look(look_TT, -AWAY, range(80, 90))


def test_one_head_finds_the_same_token_on_either_side() -> None:
    look_TT = first_looks(reader())[ANYWHERE]

    assert mean_look(look_TT, -AWAY, range(80, 90)) > 8 / 90
    assert mean_look(look_TT, AWAY, range(20, 30)) > 8 / 90


def test_one_head_looks_at_the_tokens_around() -> None:
    look_TT = first_looks(reader())[AROUND]

    near = torch.stack([look_TT[i, i - 6 : i + 7].sum() for i in range(10, 80)])
    assert float(near.min()) > 0.9


def test_one_head_looks_at_the_token_before() -> None:
    assert mean_look(first_looks(reader())[BEFORE], -1, range(1, 90)) > 0.8


def test_a_head_passes_on_what_it_sees() -> None:
    layer = reader().model.L_module.layers[0]
    assert isinstance(layer, Block)
    value_DD = layer.attn.gqkv_proj.weight[3 * 256 :]

    torch.testing.assert_close(layer.attn.o_proj.weight @ value_DD, torch.eye(256), atol=1e-5, rtol=0)


@pytest.mark.parametrize("heads", [1, 2, 3, 5])
def test_any_number_of_heads_can_start_as_readers(heads: int) -> None:
    shape: HrmConfig = Shape(hidden_size=64 * heads, intermediate_size=64, layers_per_stack=1).config(300)

    model = initialise(shape, 0, "reading")

    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def test_what_all_contexts_share_starts_small_and_what_is_rare_large() -> None:
    count_V = torch.ones(300, dtype=torch.int64)
    count_V[7] = 100_000

    plain, sized = initialise(config(), 0), initialise(config(), 0, "reading", count_V=count_V)

    ratio_V = (sized.model.embed_tokens.weight.norm(dim=1) / plain.model.embed_tokens.weight.norm(dim=1)).detach()
    assert float(ratio_V[7]) == pytest.approx(0.5)
    assert float(ratio_V[8]) == pytest.approx(1.2)


def test_vectors_replace_random_rows_as_far_as_they_go() -> None:
    shape = replace(config(), dtype="float32")
    vectors_VD = torch.randn(200, 64)

    rows_VD = initialise(shape, 0, vectors_VD=vectors_VD).model.embed_tokens.weight

    torch.testing.assert_close(rows_VD[:200], vectors_VD / shape.embedding_scale)
    assert torch.equal(rows_VD[200:], initialise(shape, 0).model.embed_tokens.weight[200:])


@pytest.fixture(scope="module")
def embed() -> Embed:
    return MiniLM().embed


def test_words_that_mean_nearly_the_same_start_near_to_each_other(tmp_path: Path, embed: Embed) -> None:
    words = tokenizer(tmp_path, ("doctor", "physician", "banana"))
    doctor, physician, banana = (words.encode(f"Say {word}")[-1] for word in ("doctor", "physician", "banana"))

    near_VD = torch.nn.functional.normalize(token_vectors(embed, words, 64, 0), dim=1)

    assert float(near_VD[doctor] @ near_VD[physician]) > float(near_VD[doctor] @ near_VD[banana]) + 0.2


def test_vectors_have_unit_variance_control_tokens_included(tmp_path: Path, embed: Embed) -> None:
    vectors_VD = token_vectors(embed, tokenizer(tmp_path), 64, 0)

    torch.testing.assert_close(vectors_VD.norm(dim=1), torch.full((300,), 8.0))


def test_vectors_with_too_few_dimensions_are_refused(tmp_path: Path, embed: Embed) -> None:
    with pytest.raises(ValueError, match="384 dimensions; 448 are needed"):
        token_vectors(embed, tokenizer(tmp_path), 448, 0)
