"""`hrm-serve check-model`: can this folder be served, what does it need, and about how fast is it."""

import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from hrm_model.compiled.choose import step_and_reason
from hrm_model.compiled.library import lack
from hrm_model.config import HrmConfig, read_config
from hrm_model.loading import PREFILL_TOKENS, check_vocabulary, load_placed
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.placement import Placement, free_bytes, place
from hrm_model.runner import Runner
from hrm_model.sequence import Sequence
from hrm_model.template import CONDITION_TOKENS
from hrm_model.tokenizer import TOKENIZER_FILE, load_tokenizer
from hrm_model.types import Sampling
from hrm_model.weights import expected_shapes, shards

_PROMPT_TOKENS = 128
_DECODE_STEPS = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """What loading and decoding once took."""

    load_s: float
    first_token_s: float
    tokens_per_s: float
    how: str  # steps run: compiled or on torch, and why
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Needs:
    """What serving a checkpoint takes, and what there is of it."""

    weight_bytes: int
    cache_bytes: int
    free_bytes: int  # on the device, or left to this container, before anything is loaded
    threads: int  # that compute one operation together
    cores: int  # that this process may use
    compiled_lack: str | None  # why the compiled step cannot run, on a CPU that could have it


def needs(
    folder: Path, *, dtype: str, device: str, kv_bytes: int | None, max_running: int, weights: str, kv_dtype: str
) -> Needs:
    """Work out what serving a folder takes, without loading it; the arguments are those of `place`.

    Raises:
        CheckpointError: the folder cannot be served.
        ValueError: see `place`.
    """
    config = read_config(folder)
    check_vocabulary(folder, config, load_tokenizer(folder))
    shards(folder)
    placement = place(
        config,
        dtype=dtype,
        device=device,
        kv_bytes=kv_bytes,
        max_running=max_running,
        weights=weights,
        kv_dtype=kv_dtype,
    )
    return Needs(
        weight_bytes=placement.weight_bytes(config),
        cache_bytes=placement.kv_tokens * placement.kv_token_bytes(config),
        free_bytes=free_bytes(placement.device),
        threads=torch.get_num_threads(),
        cores=len(os.sched_getaffinity(0)),
        compiled_lack=lack() if placement.device == "cpu" else None,
    )


def check_model(
    folder: Path,
    *,
    decode: bool = True,
    dtype: str = "auto",
    device: str = "auto",
    weights: str = "auto",
    kv_dtype: str = "auto",
) -> Iterator[str]:
    """Yield a report line by line; raises where the folder cannot be served.

    Args:
        folder: a checkpoint.
        decode: also load it and decode, which takes its memory and some seconds; without it only names, shapes
            and sizes are read.
        dtype, device, weights, kv_dtype: see `place`.

    Raises:
        CheckpointError: naming the file, and the tensor or key, that is wrong.
        ValueError: see `place`.
    """
    config = read_config(folder)
    yield f"config.json      HRM-Text, {config.parameters / 1e6:,.1f} M parameters, {config.dtype}"
    yield (
        f"                 {config.layers_per_stack} layers a stack, d={config.hidden_size}, "
        f"{config.num_heads} heads of {config.head_dim}, FFN {config.intermediate_size}, "
        f"{config.H_cycles} cycles of {config.L_cycles} L and 1 H: {config.passes} passes, {config.slots} K/V slots"
    )
    tokenizer = load_tokenizer(folder)
    check_vocabulary(folder, config, tokenizer)
    conditions = [name for name, token in CONDITION_TOKENS.items() if tokenizer.has_control(token)]
    yield (
        f"{TOKENIZER_FILE}   {tokenizer.vocab_size:,} of {config.vocab_size:,} ids, conditions {', '.join(conditions)}"
    )
    files = shards(folder)
    size = sum(file.stat().st_size for file in files)
    yield f"weights          {len(files)} file(s), {_size(size)}, {len(expected_shapes(config))} tensors expected"
    placement = place(
        config, dtype=dtype, device=device, kv_bytes=None, max_running=64, weights=weights, kv_dtype=kv_dtype
    )
    yield from _needs(config, placement)
    if decode:
        yield from _tried(folder, config, placement)
    yield "servable         yes"


def _needs(config: HrmConfig, placement: Placement) -> Iterator[str]:
    token = placement.kv_token_bytes(config)
    dtype = str(placement.dtype).removeprefix("torch.")
    rounded = [f"{what} in {kind}" for what, kind in _rounded(placement)]
    twice = ["weights twice, for prompts and for answers"] if placement.panels == "beside" else []
    yield f"placement        {', '.join([placement.device, dtype, *rounded, *twice])}"
    yield f"weights need     {_size(placement.weight_bytes(config))}"
    yield (
        f"cache needs      {_size(token)} a token, {_size(token * config.max_position_embeddings)} for a full context "
        f"of {config.max_position_embeddings:,}; room for {placement.kv_tokens:,} tokens would be taken"
    )
    yield f"a decode step    reads {_size(placement.step_bytes(config))} of weights, whatever the batch"


def _rounded(placement: Placement) -> Iterator[tuple[str, str]]:
    if placement.weights != "auto":
        yield "projections", placement.weights
    if placement.kv_dtype != "auto":
        yield "keys and values", placement.kv_dtype


def _tried(folder: Path, config: HrmConfig, placement: Placement) -> Iterator[str]:
    trial = _trial(folder, config, placement)
    yield f"loaded           in {trial.load_s:.1f} s; {trial.how}"
    yield f"first token      {trial.first_token_s:.2f} s after a prompt of {_prompt_tokens(config)} tokens"
    yield f"decoding         {trial.tokens_per_s:.1f} tokens/s, one answer alone"
    yield f"memory           {_size(trial.peak_bytes)} at most, {len(os.sched_getaffinity(0))} CPUs"


def _prompt_tokens(config: HrmConfig) -> int:
    return max(1, min(_PROMPT_TOKENS, config.max_position_embeddings - _DECODE_STEPS - 1, PREFILL_TOKENS))


def _trial(folder: Path, config: HrmConfig, placement: Placement) -> Trial:
    began = time.perf_counter()
    model = load_placed(folder, placement)
    loaded = time.perf_counter()
    prompt = _prompt_tokens(config)
    first_s, rate, how = _decode(model, config, placement, prompt)
    if placement.device.startswith("cuda"):
        peak = torch.cuda.max_memory_allocated(placement.device)
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Trial(loaded - began, first_s, rate, how, peak)


def _decode(model: HrmText, config: HrmConfig, placement: Placement, prompt: int) -> tuple[float, float, str]:
    steps = min(_DECODE_STEPS, config.max_position_embeddings - prompt)
    pages = pages_for(prompt + steps + 1)
    cache = placement.cache(config, pages)
    step, how = step_and_reason(model, cache)
    runner = Runner(model, cache, placement.device, step)
    ids = [index % min(256, config.vocab_size) for index in range(prompt)]
    sequence = Sequence(0, 0, ids, prompt, Sampling(seed=0), pages * PAGE_TOKENS, list(range(pages)))
    began = time.perf_counter()
    with torch.inference_mode():
        sequence.ids.append(int(runner.forward([sequence])[0].argmax()))
        first = time.perf_counter()
        for _ in range(steps):
            sequence.ids.append(int(runner.forward([sequence])[0].argmax()))
    return first - began, steps / (time.perf_counter() - first), how


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.2f} GiB"
