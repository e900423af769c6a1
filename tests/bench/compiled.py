"""A step alone, writing or reading prompts: compiled beside torch, by processor time.

    python -m tests.bench.compiled --shape mini --threads 1 --what prompts
    python -m tests.bench.compiled --shape 1b --threads 2 --clock wall --rounds 5

Keys and values in int8 are another side, and where the processor has AVX-512 with bf16, the compiled step without its
vectors. All sides take turns.

The ceiling is reading: all weights once a pass, which a core's caches may or may not hold, and each sequence's keys and
values. Processor time leaves out what others on the machine take, but not that they take the caches; of
threads that wait for each other by spinning it says nothing. The 1B shape's prompts are read by torch where that is
faster, which both sides then do.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch

from hrm_model.cache import PagedCache
from hrm_model.cache_int8 import Int8Cache
from hrm_model.compiled.choose import compiled_step
from hrm_model.compiled.step import CompiledStep
from hrm_model.config import read_config
from hrm_model.loading import load_placed
from hrm_model.pages import pages_for
from hrm_model.placement import place
from hrm_model.runner import Runner
from hrm_model.sequence import Sequence
from hrm_model.types import Sampling
from tests.bench.report import prompts
from tests.bench.shapes import shape


def medians_ms(
    actions: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Medians of runs in turns, after one of each that warms up, in milliseconds."""
    taken = defaultdict[str, list[float]](list)
    for _ in range(rounds + 1):
        for name, action in actions.items():
            began = clock()
            action()
            taken[name].append(clock() - began)
    return {name: round(1e3 * statistics.median(all_of[1:]), 2) for name, all_of in taken.items()}


def main() -> None:
    """Print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=("tiny", "mini", "1b"), default="mini")
    parser.add_argument("--what", choices=("writing", "prompts"), default="writing")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.clock == "cpu" else time.perf_counter
    torch.set_num_threads(arguments.threads)
    chosen = shape(arguments.shape)
    config = read_config(chosen.folder)
    placement = place(config, dtype=chosen.dtype, device="cpu", kv_bytes=None, max_running=1)
    model = load_placed(chosen.folder, placement)
    by_torch = model if placement.panels != "alone" else load_placed(chosen.folder, replace(placement, panels="no"))
    length = chosen.prompt_tokens
    each = pages_for(length + 1)
    pages = each * max(arguments.batches)
    cache = PagedCache(config, pages, dtype=placement.dtype, device="cpu")
    rounded = Int8Cache(config, pages, dtype=placement.dtype, device="cpu")
    last = [9] if arguments.what == "writing" else []
    sequences = [
        Sequence(number, 0, [*ids, *last], length, Sampling(), 1, list(range(number * each, (number + 1) * each)))
        for number, ids in enumerate(prompts(max(arguments.batches), length, chosen.vocab, 0))
    ]
    compiled = compiled_step(model, cache)
    if not isinstance(compiled, CompiledStep):
        raise SystemExit("the compiled step was not built here")
    over_int8 = CompiledStep(model, rounded, threads=arguments.threads, most_tokens=compiled.most_tokens)
    for sequence in sequences:  # memory that was never written to is not read: all of it is one page of zeros
        for reader in (Runner(model, cache, "cpu", compiled), Runner(model, rounded, "cpu", over_int8)):
            sequence.cached = 0
            reader.forward([sequence])
    found: dict[str, object] = {"bench": "compiled", **vars(arguments)}
    for batch in arguments.batches:

        def step(runner: Runner, batch: int = batch) -> torch.Tensor:
            for sequence in sequences[:batch]:
                sequence.cached = length if arguments.what == "writing" else 0
            with torch.inference_mode():
                return runner.forward(sequences[:batch])

        sides = {
            "torch": Runner(by_torch, cache, "cpu"),
            "compiled": Runner(model, cache, "cpu", compiled),
            "over_int8": Runner(model, rounded, "cpu", over_int8),
        }
        if compiled.is_wide:
            narrow = CompiledStep(model, cache, threads=arguments.threads, is_wide=False)
            sides["narrow"] = Runner(model, cache, "cpu", narrow)
        ms = medians_ms({name: partial(step, runner) for name, runner in sides.items()}, arguments.rounds, clock)
        differs = float((step(sides["torch"]) - step(sides["compiled"])).abs().max())
        ratio = round(ms["torch"] / ms["compiled"], 2)
        print(
            f"batch {batch:3}  torch {ms['torch']:8.2f} ms  compiled {ms['compiled']:8.2f} ms, "
            f"{ratio:5.2f} times as fast; logits at most {differs:.1e} apart"
            f"; over int8 {ms['over_int8']:8.2f} ms"
            + (f"; in narrow vectors {ms['narrow']:8.2f} ms" if "narrow" in ms else ""),
            flush=True,
        )
        found[f"batch_{batch}"] = {"ms": ms, "times_faster": ratio, "logits_apart": differs}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
