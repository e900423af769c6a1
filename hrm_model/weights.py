"""Safetensors to parameters and back. Names, shapes and dtypes are checked; nothing is guessed."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hrm_model.config import HrmConfig, read_config
from hrm_model.errors import CheckpointError
from hrm_model.layers import GatedAttention, SwiGlu
from hrm_model.model import HrmText

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
READABLE = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def shards(folder: Path) -> list[Path]:
    """The weight files of a checkpoint: one, or those that the index names.

    Raises:
        CheckpointError: there is neither a single file nor an index, or the index names a file that is not there.
    """
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    index = folder / INDEX_FILE
    if not index.is_file():
        raise CheckpointError(folder, f"holds neither {SINGLE_FILE} nor {INDEX_FILE}")
    try:
        weight_map: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(weight_map.values()))
        outside = [name for name in names if Path(name).name != name]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(index, f"not a weight index: {error!r}") from error
    if outside:
        raise CheckpointError(index, f"names a file outside the folder: {outside[0]}")
    if absent := [name for name in names if not (folder / name).is_file()]:
        raise CheckpointError(index, f"names files that are not there: {', '.join(absent)}")
    return [folder / name for name in names]


def expected_shapes(config: HrmConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a checkpoint; a tied head has none of its own."""
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in HrmText(config).state_dict().items()}
    if config.tie_word_embeddings:
        del shapes[HEAD]
    return shapes


def load_model(
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    project: Callable[[Tensor], nn.Module] | None = None,
) -> HrmText:
    """Load a checkpoint for inference.

    Args:
        folder: config.json beside one or more safetensors files.
        dtype: of the parameters; None keeps config.json's.
        device: where they go.
        project: makes what stands in for each matrix of the stacks, as soon as it is read, so that never more than
            one of them is held in both forms; None leaves nn.Linear.

    Returns:
        The network in eval mode, without gradients.

    Raises:
        CheckpointError: naming the file and the tensor that is missing, unexpected, mis-shaped, not of a
            floating type that this engine reads, or not finite.
    """
    config = read_config(folder)
    wanted = dtype or getattr(torch, config.dtype)
    with torch.device("meta"):
        model = HrmText(config)
    tensors: dict[str, Tensor] = {}
    for name, tensor in read_tensors(folder, config):
        tensors[name] = tensor.to(device=device, dtype=wanted)
        # bf16 and fp32 reach 1e38, fp16 only 65,504.
        if wanted is torch.float16 and not torch.isfinite(tensors[name]).all():
            raise CheckpointError(folder, f"{name} holds values that float16 cannot")
        path = name.removesuffix(".weight")
        if project is not None and isinstance(model.get_submodule(path.rpartition(".")[0]), GatedAttention | SwiGlu):
            model.set_submodule(path, project(tensors.pop(name)))
    if config.tie_word_embeddings:
        tensors[HEAD] = tensors[EMBEDDING]
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def read_tensors(folder: Path, config: HrmConfig) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor of the checkpoint, checked, one at a time so that two copies never meet in memory."""
    expected = expected_shapes(config)
    seen: dict[str, Path] = {}
    for path in shards(folder):
        try:
            with safe_open(str(path), framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    if name in seen:
                        raise CheckpointError(path, f"{name} stands in {seen[name].name} too")
                    seen[name] = path
                    if name == HEAD and config.tie_word_embeddings:
                        _check_tied(path, file.get_tensor(name), folder)
                        continue
                    kind = file.get_slice(name).get_dtype()
                    _check(path, name, tuple(file.get_slice(name).get_shape()), kind, expected)
                    tensor = file.get_tensor(name)
                    if not torch.isfinite(tensor).all():
                        raise CheckpointError(path, f"{name} holds values that are not finite")
                    yield name, tensor
        except (SafetensorError, OSError) as error:
            raise CheckpointError(path, f"not a readable safetensors file: {error}") from error
    if missing := sorted(expected.keys() - seen.keys()):
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise CheckpointError(folder, f"tensors are missing: {', '.join(missing[:3])}{more}")


def save_checkpoint(folder: Path, config: HrmConfig, state: Mapping[str, Tensor], extra: Mapping[str, object]) -> None:
    """Write config.json, generation_config.json and model.safetensors, as transformers and vLLM read them.

    Args:
        state: `HrmText.state_dict()`; stored in config.dtype. A tied head is left out, as transformers does.
        extra: fields for config.json and generation_config.json that both share: token ids.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dtype = getattr(torch, config.dtype)
    skipped = {HEAD} if config.tie_word_embeddings else set()
    tensors = {name: t.detach().to("cpu", dtype).contiguous() for name, t in state.items() if name not in skipped}
    save_file(tensors, folder / SINGLE_FILE, metadata={"format": "pt"})
    write_json(folder / "config.json", {**config.to_json(), **extra})
    write_json(folder / "generation_config.json", {**extra, "do_sample": False})


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write indented JSON with a closing newline."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _check(path: Path, name: str, shape: tuple[int, ...], kind: str, expected: dict[str, tuple[int, ...]]) -> None:
    if name not in expected:
        raise CheckpointError(path, f"{name} is no tensor of this network")
    if shape != expected[name]:
        raise CheckpointError(path, f"{name} has shape {list(shape)}; config.json asks for {list(expected[name])}")
    if kind not in READABLE:
        raise CheckpointError(path, f"{name} is {kind}; this engine reads {', '.join(READABLE)}")


def _check_tied(path: Path, head_VD: Tensor, folder: Path) -> None:
    """A tied checkpoint may store its head as well, but then as a copy of the embedding."""
    for shard in shards(folder):
        with safe_open(str(shard), framework="pt") as file:
            if EMBEDDING not in file.keys():  # noqa: SIM118
                continue
            embedding_VD = file.get_tensor(EMBEDDING)
            if embedding_VD.dtype != head_VD.dtype or not torch.equal(embedding_VD, head_VD):
                raise CheckpointError(path, f"tie_word_embeddings is true, but {HEAD} differs from {EMBEDDING}")
