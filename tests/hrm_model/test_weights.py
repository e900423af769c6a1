"""Weight files: every layout in which HRM-Text is published, and each way in which one can be wrong, by name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hrm_model.config import HrmConfig
from hrm_model.errors import CheckpointError
from hrm_model.model import HrmText
from hrm_model.weights import EMBEDDING, HEAD, expected_shapes, load_model, save_checkpoint, shards, write_json
from tests.checkpoints import Shape, reference, save

CONFIG = HrmConfig(
    vocab_size=48,
    hidden_size=16,
    intermediate_size=24,
    layers_per_stack=1,
    num_heads=2,
    head_dim=8,
    max_position_embeddings=32,
    embedding_scale=4.0,
    dtype="float32",
)
TIED = replace(CONFIG, tie_word_embeddings=True)
SOME = "model.H_module.layers.0.mlp.down_proj.weight"
DTYPES = ("float32", "bfloat16", "float16")


def weights(config: HrmConfig = CONFIG) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    dtype = getattr(torch, config.dtype)
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in expected_shapes(config).items()}


def written(folder: Path, config: HrmConfig = CONFIG, state: dict[str, Tensor] | None = None) -> Path:
    save_checkpoint(folder, replace(config, tie_word_embeddings=False), weights(config) if state is None else state, {})
    write_json(folder / "config.json", config.to_json())
    return folder


def sharded(folder: Path, change: Callable[[dict[str, Any]], None] = lambda index: None) -> Path:
    """The same checkpoint in two files and an index, which `change` may spoil."""
    written(folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    files = {"one.safetensors": names[:4], "two.safetensors": names[4:]}
    for file, inside in files.items():
        save_file({name: tensors[name] for name in inside}, folder / file)
    index = {"weight_map": {name: file for file, inside in files.items() for name in inside}}
    change(index)
    write_json(folder / "model.safetensors.index.json", index)
    return folder


def refused(folder: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(folder, **options)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def same(model: HrmText, tensors: dict[str, Tensor]) -> bool:
    state = model.state_dict()
    return all(torch.equal(state[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_file_is_loaded_bit_for_bit_in_its_own_dtype(tmp_path: Path, dtype: str) -> None:
    config = replace(CONFIG, dtype=dtype)

    model = load_model(written(tmp_path, config))

    assert same(model, weights(config))
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training


def test_a_shard_set_is_loaded_like_one_file(tmp_path: Path) -> None:
    assert same(load_model(sharded(tmp_path)), weights())


@pytest.mark.parametrize("stored", DTYPES)
def test_a_dtype_that_is_asked_for_wins_over_the_stored_one(tmp_path: Path, stored: str) -> None:
    config = replace(CONFIG, dtype=stored)

    model = load_model(written(tmp_path, config), dtype=torch.float32)

    assert same(model, {name: tensor.float() for name, tensor in weights(config).items()})


def test_the_initial_state_of_l_is_loaded_and_not_assumed_zero(tmp_path: Path) -> None:
    loaded = load_model(written(tmp_path)).model.z_L_init

    assert torch.equal(loaded, weights()["model.z_L_init"])
    assert loaded.abs().min() > 0


def test_a_tied_head_is_the_embedding(tmp_path: Path) -> None:
    model = load_model(written(tmp_path, TIED))

    assert HEAD not in load_file(tmp_path / "model.safetensors")
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert same(model, weights(TIED))


def test_a_tied_head_may_be_stored_as_a_copy(tmp_path: Path) -> None:
    state = weights(TIED)

    model = load_model(written(tmp_path, TIED, {**state, HEAD: state[EMBEDDING].clone()}))

    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()


def _another_head(embedding_VD: Tensor) -> Tensor:
    head_VD = embedding_VD.clone()
    head_VD[-1, -1] += 1
    return head_VD


@pytest.mark.parametrize("change", [_another_head, lambda e: e[:-1].clone(), lambda e: e.to(torch.bfloat16)])
def test_a_tied_head_that_differs_is_refused(tmp_path: Path, change: Callable[[Tensor], Tensor]) -> None:
    state = weights(TIED)
    written(tmp_path, TIED, state)
    save_file({**state, HEAD: change(state[EMBEDDING])}, tmp_path / "model.safetensors")

    assert f"{HEAD} differs from {EMBEDDING}" in refused(tmp_path)


@pytest.mark.parametrize("name", sorted(expected_shapes(CONFIG)))
def test_every_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    state = weights()
    del state[name]

    assert refused(written(tmp_path, state=state)).endswith(f"tensors are missing: {name}")


@pytest.mark.parametrize("name", sorted(expected_shapes(CONFIG)))
def test_every_mis_shaped_tensor_is_named_with_both_shapes(tmp_path: Path, name: str) -> None:
    state = weights()
    right = list(state[name].shape)
    state[name] = state[name][:-1].clone()
    wrong = [right[0] - 1, *right[1:]]

    assert f"{name} has shape {wrong}; config.json asks for {right}" in refused(written(tmp_path, state=state))


@pytest.mark.parametrize("name", sorted(expected_shapes(CONFIG)))
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_every_tensor_that_is_not_finite_is_named(tmp_path: Path, name: str, value: float) -> None:
    state = weights()
    state[name].view(-1)[-1] = value

    assert f"{name} holds values that are not finite" in refused(written(tmp_path, state=state))


@pytest.mark.parametrize(
    ("dtype", "spelled"),
    [(torch.int64, "I64"), (torch.int8, "I8"), (torch.float64, "F64"), (torch.float8_e4m3fn, "F8_E4M3")],
)
def test_a_tensor_of_another_type_is_named_with_it(tmp_path: Path, dtype: torch.dtype, spelled: str) -> None:
    state = weights()
    written(tmp_path)
    save_file({**state, SOME: state[SOME].to(dtype)}, tmp_path / "model.safetensors")

    assert f"{SOME} is {spelled}; this engine reads BF16, F16, F32" in refused(tmp_path)


@pytest.mark.parametrize("name", ["model.norm.weight", "model.H_module.layers.1.mlp.down_proj.weight", "lm_head.bias"])
def test_a_tensor_that_the_network_does_not_have_is_named(tmp_path: Path, name: str) -> None:
    state = weights() | {name: torch.ones(16)}

    assert f"{name} is no tensor of this network" in refused(written(tmp_path, state=state))


def test_a_value_beyond_the_dtype_that_is_asked_for_is_refused_and_not_made_infinite(tmp_path: Path) -> None:
    state = weights()
    state[SOME][0, 0] = 70_000.0

    assert f"{SOME} holds values that float16 cannot" in refused(written(tmp_path, state=state), dtype=torch.float16)
    assert load_model(tmp_path).state_dict()[SOME][0, 0] == 70_000.0


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, kept: int) -> None:
    file = written(tmp_path) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])

    assert f"{file}: not a readable safetensors file" in refused(tmp_path)


def test_a_truncated_shard_is_refused_by_name(tmp_path: Path) -> None:
    file = sharded(tmp_path) / "two.safetensors"
    file.write_bytes(file.read_bytes()[:-10])

    assert f"{file}: not a readable safetensors file" in refused(tmp_path)


def test_a_folder_without_weights_says_what_it_looked_for(tmp_path: Path) -> None:
    (written(tmp_path) / "model.safetensors").unlink()

    assert "holds neither model.safetensors nor model.safetensors.index.json" in refused(tmp_path)


def test_a_shard_that_is_not_there_is_named(tmp_path: Path) -> None:
    (sharded(tmp_path) / "two.safetensors").unlink()

    assert "names files that are not there: two.safetensors" in refused(tmp_path)


@pytest.mark.parametrize(
    "outside", ["../one.safetensors", "/etc/passwd", "deeper/one.safetensors", "./one.safetensors"]
)
def test_an_index_that_names_a_file_outside_the_folder_is_refused(tmp_path: Path, outside: str) -> None:
    folder = sharded(tmp_path / "inside", lambda index: index["weight_map"].update({SOME: outside}))
    (tmp_path / "one.safetensors").write_bytes((folder / "one.safetensors").read_bytes())

    assert f"names a file outside the folder: {outside}" in refused(folder)


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}', "\x00"])
def test_an_index_that_is_none_is_refused_by_name(tmp_path: Path, index: str) -> None:
    file = sharded(tmp_path) / "model.safetensors.index.json"
    file.write_text(index, encoding="utf-8")

    assert f"{file}: not a weight index" in refused(tmp_path)


def test_a_tensor_in_two_shards_is_refused_with_both_named(tmp_path: Path) -> None:
    sharded(tmp_path)
    one, two = load_file(tmp_path / "one.safetensors"), load_file(tmp_path / "two.safetensors")
    twice = sorted(one)[0]
    save_file({**two, twice: one[twice]}, tmp_path / "two.safetensors")

    assert refused(tmp_path).endswith(f"two.safetensors: {twice} stands in one.safetensors too")


def test_a_symbolic_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    file = written(tmp_path / "linked") / "model.safetensors"
    file.rename(tmp_path / "blob")
    file.symlink_to(tmp_path / "blob")

    assert shards(tmp_path / "linked") == [file]
    assert same(load_model(tmp_path / "linked"), weights())


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("size", ["5GB", "100KB"])
def test_what_transformers_writes_is_loaded_whole(tmp_path: Path, tied: bool, size: str) -> None:
    theirs = reference(Shape(hidden=32, intermediate=48, layers=1, heads=2, head_dim=32, tied=tied, vocab=512))

    model = load_model(save(theirs, tmp_path, max_shard_size=size), dtype=torch.float32)

    assert (len(shards(tmp_path)) > 1) == (size == "100KB")
    assert torch.equal(model.model.z_L_init, theirs.model.z_L_init)
    assert torch.equal(model.lm_head.weight, theirs.lm_head.weight)


@pytest.mark.parametrize("tied", [False, True])
def test_transformers_loads_what_is_written_here(tmp_path: Path, tied: bool) -> None:
    from transformers import HrmTextForCausalLM

    config = TIED if tied else CONFIG
    save_checkpoint(tmp_path, config, load_model(written(tmp_path / "first", config)).state_dict(), {"eos_token_id": 3})

    theirs = HrmTextForCausalLM.from_pretrained(tmp_path)

    assert torch.equal(theirs.model.z_L_init, weights(config)["model.z_L_init"])
    assert torch.equal(theirs.lm_head.weight, weights(config)[EMBEDDING if tied else HEAD])
    assert theirs.config.eos_token_id == 3


def test_more_than_three_missing_tensors_are_counted(tmp_path: Path) -> None:
    assert refused(written(tmp_path, state={})).endswith(f"and {len(weights()) - 3} more")
