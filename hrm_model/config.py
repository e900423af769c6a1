"""The facts of one checkpoint, read and checked from its config.json. Nothing is guessed.

Dimension key, used as suffixes of tensor names everywhere in hrm_model (H and L name HRM's two
modules, so they never name a dimension):
    B batch   T tokens   N heads   K head size   D model size   F feed-forward   V vocabulary
T counts the tokens of one forward, those of several sequences laid end to end without padding.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hrm_model.errors import CheckpointError

CONFIG_FILE = "config.json"
ARCHITECTURE = "HrmTextForCausalLM"


@dataclass(frozen=True, slots=True)
class HrmConfig:
    """The shape of an HRM-Text network, and the constants of its arithmetic."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers_per_stack: int
    num_heads: int
    head_dim: int
    max_position_embeddings: int
    embedding_scale: float
    H_cycles: int = 2
    L_cycles: int = 3
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    tie_word_embeddings: bool = False
    dtype: str = "bfloat16"
    max_context_tokens: int | None = None  # passages that this checkpoint reads well; None: not stated
    is_extractive: bool = False  # trained to answer in words that stand in its prompt, and in no others
    # Added to the logit of declining, where what it says instead is checked against the passages all the same.
    abstention_bias: float = 0.0

    @property
    def passes(self) -> int:
        """Stack passes that each token makes: 8 with 2 cycles of 3 L and 1 H."""
        return self.H_cycles * (self.L_cycles + 1)

    @property
    def slots(self) -> int:
        """K/V caches: one per layer and pass."""
        return self.passes * self.layers_per_stack

    def kv_bytes_per_token(self, element_bytes: int) -> int:
        """Bytes of K and V that one token occupies over all slots."""
        return 2 * self.slots * self.num_heads * self.head_dim * element_bytes

    @property
    def stack_parameters(self) -> int:
        """Parameters of one stack."""
        inner = self.num_heads * self.head_dim
        return self.layers_per_stack * self.hidden_size * (5 * inner + 3 * self.intermediate_size)

    @property
    def parameters(self) -> int:
        """Parameters of the whole network; a tied head counts once."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return 2 * self.stack_parameters + embeddings + self.hidden_size

    def differing(self, other: "HrmConfig") -> list[str]:
        """What makes another network of `other`; not how its weights are stored, nor what is only said about it."""
        stated = {"dtype", "max_context_tokens", "is_extractive", "abstention_bias"}
        mine, theirs = asdict(self), asdict(other)
        return [name for name in mine if name not in stated and mine[name] != theirs[name]]

    def to_json(self) -> dict[str, Any]:
        """Render as transformers' `HrmTextConfig.save_pretrained` would, plus this server's own keys."""
        return {
            "architectures": [ARCHITECTURE],
            "model_type": "hrm_text",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.slots,
            "num_layers_per_stack": self.layers_per_stack,
            "num_attention_heads": self.num_heads,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": self.max_position_embeddings,
            "initializer_range": 1.0 / self.embedding_scale,
            "embedding_scale": self.embedding_scale,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "tie_word_embeddings": self.tie_word_embeddings,
            "attention_bias": False,
            "mlp_bias": False,
            "H_cycles": self.H_cycles,
            "L_cycles": self.L_cycles,
            "prefix_lm": True,
            "dtype": self.dtype,
            "max_context_tokens": self.max_context_tokens,
            **({"extractive": True} if self.is_extractive else {}),
            **({"abstention_bias": self.abstention_bias} if self.abstention_bias else {}),
        }


def read_config(folder: Path) -> HrmConfig:
    """Read `folder/config.json`.

    Accepts `num_hidden_layers` as layers per stack or inflated to all slots with `num_layers_per_stack` beside
    it, and `rope_theta` (the original converter) or `rope_parameters` (transformers).

    Raises:
        CheckpointError: the file is missing, is not JSON, describes another network, or contradicts itself.
    """
    path = folder / CONFIG_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(path, "there is no such file") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(path, f"not readable as JSON: {error}") from error
    if not isinstance(raw, dict):
        raise CheckpointError(path, "holds no JSON object")
    return parse_config(raw, path)


def parse_config(raw: Mapping[str, Any], path: Path) -> HrmConfig:
    """Check a config.json that has been parsed already; `path` names it in errors."""
    _refuse_other_networks(raw, path)
    H_cycles, L_cycles = _count(raw, path, "H_cycles", 2), _count(raw, path, "L_cycles", 3)
    hidden_size, num_heads = _count(raw, path, "hidden_size"), _count(raw, path, "num_attention_heads")
    config = HrmConfig(
        vocab_size=_count(raw, path, "vocab_size"),
        hidden_size=hidden_size,
        intermediate_size=_count(raw, path, "intermediate_size"),
        layers_per_stack=_layers_per_stack(raw, path, H_cycles * (L_cycles + 1)),
        num_heads=num_heads,
        head_dim=_head_dim(raw, path, hidden_size, num_heads),
        max_position_embeddings=_count(raw, path, "max_position_embeddings"),
        embedding_scale=_embedding_scale(raw, path),
        H_cycles=H_cycles,
        L_cycles=L_cycles,
        rms_norm_eps=_positive(raw, path, "rms_norm_eps", 1e-6),
        rope_theta=_rope_theta(raw, path),
        tie_word_embeddings=_flag(raw, path, "tie_word_embeddings"),
        dtype=_dtype(raw, path),
        max_context_tokens=_optional_count(raw, path, "max_context_tokens"),
        is_extractive=_flag(raw, path, "extractive"),
        abstention_bias=_bias(raw, path),
    )
    if config.abstention_bias and not config.is_extractive:
        raise CheckpointError(path, "abstention_bias is of use to extractive checkpoints alone, and this one is none")
    if config.head_dim % 2:
        raise CheckpointError(path, f"head_dim is {config.head_dim}; rotary positions need an even one")
    return config


def _refuse_other_networks(raw: Mapping[str, Any], path: Path) -> None:
    wanted: dict[str, Any] = {
        "model_type": "hrm_text",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "prefix_lm": True,
    }
    if "model_type" not in raw:
        raise CheckpointError(path, "model_type is missing; expected 'hrm_text'")
    for key, value in wanted.items():
        if raw.get(key, value) != value:
            raise CheckpointError(path, f"{key} is {raw[key]!r}; this engine runs {value!r} only")
    if raw.get("quantization_config") is not None:
        raise CheckpointError(path, "quantization_config is set; this engine reads bf16, fp16 and fp32 weights")


def _count(raw: Mapping[str, Any], path: Path, key: str, default: int | None = None) -> int:
    value = raw.get(key, default)
    if value is None:
        raise CheckpointError(path, f"{key} is missing")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(path, f"{key} is {value!r}; expected a whole number of at least 1")
    return value


def _optional_count(raw: Mapping[str, Any], path: Path, key: str) -> int | None:
    return None if raw.get(key) is None else _count(raw, path, key)


def _positive(raw: Mapping[str, Any], path: Path, key: str, default: float | None = None) -> float:
    value = raw.get(key, default)
    if value is None:
        raise CheckpointError(path, f"{key} is missing")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise CheckpointError(path, f"{key} is {value!r}; expected a positive number")
    return float(value)


def _flag(raw: Mapping[str, Any], path: Path, key: str) -> bool:
    value = raw.get(key)
    if value is not None and not isinstance(value, bool):
        raise CheckpointError(path, f"{key} is {value!r}; expected true or false")
    return bool(value)


def _layers_per_stack(raw: Mapping[str, Any], path: Path, passes: int) -> int:
    layers = _count(raw, path, "num_hidden_layers")
    if raw.get("num_layers_per_stack") is None:
        return layers
    per_stack = _count(raw, path, "num_layers_per_stack")
    if layers not in (per_stack, per_stack * passes):
        raise CheckpointError(
            path,
            f"num_hidden_layers is {layers}; beside num_layers_per_stack {per_stack} and {passes} passes"
            f" it can only be {per_stack} or {per_stack * passes}",
        )
    return per_stack


def _head_dim(raw: Mapping[str, Any], path: Path, hidden_size: int, num_heads: int) -> int:
    if raw.get("head_dim") is not None:
        return _count(raw, path, "head_dim")
    if hidden_size != 128 * num_heads:  # transformers would assume 128, the original code hidden_size / heads
        raise CheckpointError(
            path, f"head_dim is missing and {hidden_size} / {num_heads} is not 128: it must be stated"
        )
    return 128


def _embedding_scale(raw: Mapping[str, Any], path: Path) -> float:
    if raw.get("embedding_scale") is not None:
        return _positive(raw, path, "embedding_scale")
    if raw.get("initializer_range") is None:
        raise CheckpointError(path, "neither embedding_scale nor initializer_range is there")
    return 1.0 / _positive(raw, path, "initializer_range")


def _rope_theta(raw: Mapping[str, Any], path: Path) -> float:
    sources = [raw]
    for key in ("rope_parameters", "rope_scaling"):  # transformers' name since 5.0, and the one before
        nested = raw.get(key) or {}
        if not isinstance(nested, Mapping):
            raise CheckpointError(path, f"{key} is {nested!r}; expected an object")
        kind = nested.get("rope_type", nested.get("type", "default"))
        if kind != "default":
            raise CheckpointError(path, f"rope_type is {kind!r} in {key}; this engine runs 'default' only")
        sources.append(nested)
    for source in sources:
        if source.get("partial_rotary_factor") not in (None, 1):
            raise CheckpointError(
                path, f"partial_rotary_factor is {source['partial_rotary_factor']!r}; this engine turns whole heads"
            )
    stated = {_positive(source, path, "rope_theta") for source in sources if source.get("rope_theta") is not None}
    if len(stated) > 1:
        raise CheckpointError(path, f"rope_theta is stated twice, differently: {sorted(stated)}")
    if not stated:
        raise CheckpointError(path, "rope_theta is neither at the top nor in rope_parameters")
    return stated.pop()


def _bias(raw: Mapping[str, Any], path: Path) -> float:
    value = raw.get("abstention_bias", 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -100 <= value <= 100:
        raise CheckpointError(path, f"abstention_bias is {value!r}; expected a number from -100 to 100")
    return float(value)


def _dtype(raw: Mapping[str, Any], path: Path) -> str:
    value = raw.get("dtype") or raw.get("torch_dtype") or "bfloat16"  # the name since transformers 5, and before
    if value not in ("bfloat16", "float16", "float32"):
        raise CheckpointError(path, f"dtype is {value!r}; expected bfloat16, float16 or float32")
    return str(value)
