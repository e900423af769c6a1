"""config.json: every convention in which HRM-Text is published, and no guessing at anything else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hrm_model.config import HrmConfig, parse_config, read_config
from hrm_model.errors import CheckpointError

HERE = Path("config.json")
CONFIG = HrmConfig(
    vocab_size=512,
    hidden_size=128,
    intermediate_size=256,
    layers_per_stack=2,
    num_heads=2,
    head_dim=64,
    max_position_embeddings=512,
    embedding_scale=20.0,
    rope_theta=50_000.0,
)
ABSENT: Any = object()


def changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**CONFIG.to_json(), **changes}.items() if value is not ABSENT}


def refused(**changes: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        parse_config(changed(**changes), HERE)
    return caught.value.problem


def test_what_is_written_is_read_back() -> None:
    assert parse_config(CONFIG.to_json(), HERE) == CONFIG


def test_a_checkpoint_may_say_that_its_answers_are_quotes() -> None:
    assert not parse_config(CONFIG.to_json(), HERE).is_extractive
    assert "extractive" not in CONFIG.to_json(), "nothing is said of those that were trained otherwise"
    extractive = replace(CONFIG, is_extractive=True)
    assert parse_config(extractive.to_json(), HERE) == extractive
    assert refused(extractive="yes") == "extractive is 'yes'; expected true or false"


def test_a_checkpoint_that_quotes_may_say_how_it_leans_towards_declining() -> None:
    leaning = replace(CONFIG, is_extractive=True, abstention_bias=-2.5)

    assert parse_config(leaning.to_json(), HERE) == leaning
    assert "abstention_bias" not in CONFIG.to_json()
    assert "extractive" in refused(abstention_bias=-2.5)
    for value in ("-2", True, float("nan"), 1000):
        assert refused(extractive=True, abstention_bias=value).startswith("abstention_bias is ")


@pytest.mark.parametrize("layers", [2, 16])
def test_layers_are_counted_a_stack_or_over_all_passes(layers: int) -> None:
    assert parse_config(changed(num_hidden_layers=layers), HERE).layers_per_stack == 2


def test_layers_without_a_count_a_stack_beside_them_are_those_of_a_stack() -> None:
    config = parse_config(changed(num_hidden_layers=16, num_layers_per_stack=ABSENT), HERE)

    assert (config.layers_per_stack, config.slots) == (16, 128)


def test_layers_that_contradict_each_other_are_refused() -> None:
    assert refused(num_hidden_layers=8) == (
        "num_hidden_layers is 8; beside num_layers_per_stack 2 and 8 passes it can only be 2 or 16"
    )


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_theta": 5e4},
        {"rope_theta": 50_000},
        {"rope_theta": 5e4, "rope_scaling": None},
        {"rope_theta": 5e4, "rope_scaling": {"type": "default"}},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 5e4}},
        {"rope_parameters": {"rope_theta": 5e4, "partial_rotary_factor": 1.0}},
        {"rope_theta": 5e4, "rope_parameters": {"rope_type": "default"}},
        {"rope_theta": 5e4, "rope_parameters": {"rope_type": "default", "rope_theta": 50_000}},
        {"rope_scaling": {"rope_type": "default", "rope_theta": 5e4}},
    ],
)
def test_theta_stands_at_the_top_or_among_the_rope_parameters(rope: dict[str, Any]) -> None:
    assert parse_config(changed(**{"rope_parameters": ABSENT, **rope}), HERE).rope_theta == 50_000.0


@pytest.mark.parametrize("key", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize("name", ["rope_type", "type"])
def test_stretched_positions_are_refused_wherever_they_stand(key: str, name: str) -> None:
    stretched = {name: "linear", "factor": 2.0, "rope_theta": 5e4}

    assert refused(**{key: stretched}) == f"rope_type is 'linear' in {key}; this engine runs 'default' only"


@pytest.mark.parametrize("where", ["top", "rope_parameters"])
def test_heads_that_turn_in_part_are_refused(where: str) -> None:
    nested = {"rope_theta": 5e4, **({"partial_rotary_factor": 0.5} if where == "rope_parameters" else {})}
    top = {"partial_rotary_factor": 0.5} if where == "top" else {}

    assert refused(rope_parameters=nested, **top).startswith("partial_rotary_factor is 0.5")


def test_two_different_thetas_are_refused() -> None:
    assert refused(rope_theta=10_000.0).startswith("rope_theta is stated twice, differently: [10000.0, 50000.0]")


def test_no_theta_is_refused() -> None:
    assert refused(rope_parameters=ABSENT) == "rope_theta is neither at the top nor in rope_parameters"


@pytest.mark.parametrize("theta", ["50000", True, 0, -1.0, float("nan"), float("inf"), [5e4]])
def test_a_theta_that_is_no_positive_number_is_refused(theta: object) -> None:
    assert refused(rope_parameters=ABSENT, rope_theta=theta) == f"rope_theta is {theta!r}; expected a positive number"


def test_rope_parameters_that_are_no_object_are_refused() -> None:
    assert refused(rope_parameters=[1]) == "rope_parameters is [1]; expected an object"


def test_the_head_size_may_differ_from_hidden_size_over_heads() -> None:
    assert parse_config(changed(head_dim=32), HERE).head_dim == 32


@pytest.mark.parametrize("missing", [ABSENT, None])
def test_a_missing_head_size_is_128_where_both_readings_agree(missing: object) -> None:
    assert parse_config(changed(head_dim=missing, hidden_size=256), HERE).head_dim == 128


def test_a_missing_head_size_is_refused_where_readings_differ() -> None:
    assert refused(head_dim=ABSENT) == "head_dim is missing and 128 / 2 is not 128: it must be stated"


def test_an_odd_head_size_is_refused() -> None:
    assert refused(head_dim=63).startswith("head_dim is 63")


def test_the_embedding_scale_is_one_over_the_initializer_range_unless_stated() -> None:
    assert parse_config(changed(embedding_scale=ABSENT, initializer_range=0.02), HERE).embedding_scale == 50.0
    assert parse_config(changed(embedding_scale=3.0, initializer_range=0.02), HERE).embedding_scale == 3.0
    assert "neither embedding_scale nor" in refused(embedding_scale=ABSENT, initializer_range=None)


@pytest.mark.parametrize(
    "stated", [{"dtype": "float32"}, {"torch_dtype": "float32"}, {"dtype": None, "torch_dtype": "float32"}]
)
def test_the_dtype_goes_by_its_new_name_and_its_old_one(stated: dict[str, Any]) -> None:
    assert parse_config(changed(**{"dtype": ABSENT, **stated}), HERE).dtype == "float32"


def test_an_unreadable_dtype_is_refused() -> None:
    assert refused(dtype="float64") == "dtype is 'float64'; expected bfloat16, float16 or float32"


@pytest.mark.parametrize(("stated", "tied"), [(True, True), (False, False), (ABSENT, False), (None, False)])
def test_the_head_is_tied_only_where_it_says_so(stated: object, tied: bool) -> None:
    assert parse_config(changed(tie_word_embeddings=stated), HERE).tie_word_embeddings is tied


@pytest.mark.parametrize("value", ["false", 1, 0])
def test_a_tie_that_is_neither_true_nor_false_is_refused(value: object) -> None:
    assert refused(tie_word_embeddings=value) == f"tie_word_embeddings is {value!r}; expected true or false"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "llama"),
        ("hidden_act", "gelu"),
        ("attention_bias", True),
        ("mlp_bias", True),
        ("prefix_lm", False),
    ],
)
def test_another_network_is_refused_by_what_makes_it_another(key: str, value: object) -> None:
    assert refused(**{key: value}).startswith(f"{key} is {value!r}; this engine runs")


def test_a_config_that_does_not_say_what_it_is_of_is_refused() -> None:
    assert refused(model_type=ABSENT) == "model_type is missing; expected 'hrm_text'"


def test_quantized_weights_are_refused() -> None:
    assert refused(quantization_config={"quant_method": "fp8"}).startswith("quantization_config is set")


COUNTS = ("vocab_size", "hidden_size", "intermediate_size", "num_attention_heads", "max_position_embeddings")


@pytest.mark.parametrize("key", [*COUNTS, "num_hidden_layers"])
def test_a_missing_count_is_named(key: str) -> None:
    assert refused(**{key: ABSENT}) == f"{key} is missing"


@pytest.mark.parametrize("key", [*COUNTS, "num_hidden_layers", "H_cycles", "L_cycles", "head_dim"])
@pytest.mark.parametrize("value", [0, -2, 1.5, "4", True])
def test_a_count_that_is_no_whole_number_is_named(key: str, value: object) -> None:
    assert refused(**{key: value}) == f"{key} is {value!r}; expected a whole number of at least 1"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: there is no such file"):
        read_config(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b'"hrm_text"', b"\xff\xfe"])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)

    with pytest.raises(CheckpointError, match="JSON"):
        read_config(tmp_path)


def test_the_published_shape_has_its_published_sizes() -> None:
    published = changed(
        vocab_size=65_536,
        hidden_size=1536,
        intermediate_size=4096,
        num_hidden_layers=128,
        num_layers_per_stack=16,
        num_attention_heads=12,
        head_dim=128,
        max_position_embeddings=4096,
    )

    config = parse_config(json.loads(json.dumps(published)), HERE)

    assert (config.passes, config.slots) == (8, 128)
    assert 2 * config.stack_parameters == 981_467_136
    assert config.parameters == 981_467_136 + 2 * 65_536 * 1536 + 1536
    assert config.kv_bytes_per_token(2) == 768 * 1024
