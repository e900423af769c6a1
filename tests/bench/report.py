"""What every comparison shares: sides asked in turn, the machine's ceilings, a table for people and a JSON line."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch

from tests.bench.shapes import Shape
from tests.bench.sides import OURS, ROOT, Ask, Setting, Side, started

PEERS = ("vllm", "transformers")
SIDES = (*OURS, *PEERS)
_REST_S = 0.5


def parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that all comparisons take."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--shape", choices=("tiny", "mini", "1b"), default="mini")
    made.add_argument("--sides", nargs="+", choices=SIDES, default=["native", *PEERS])
    made.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    made.add_argument("--rounds", type=int, default=5, help="times that each side is asked, in turn; medians count")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--batched-tokens", type=int, default=8192, help="that vLLM reads at a time at most")
    made.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: processor seconds, on a busy machine"
    )
    return made


def prompts(count: int, length: int, vocab: int, seed: int) -> list[list[int]]:
    """Random prompts; another seed for each question, or an engine could answer from what it remembers."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(8, vocab, (count, length), generator=generator).tolist()


def in_turn(sides: Sequence[Side], rounds: int, measure: Callable[[Side, int], float]) -> dict[str, float]:
    """The median of `measure(side, round)` for each side, the sides taking turns; the first round only warms up.

    Each finds the machine at rest: OpenMP's workers look for more to do for up to 200 ms after their side's turn, and
    would take the cores from the side that comes next.
    """
    found: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(rounds + 1):
        for side in sides if number % 2 else list(reversed(sides)):
            time.sleep(_REST_S)
            value = measure(side, number)
            if number:
                found[side.name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def ratios(found: Mapping[str, float], *, more_is_better: bool = True) -> dict[str, float]:
    """How many times better each of ours is than each peer."""
    return {
        peer if ours == "native" else f"{peer} by {ours}": round(mine / value if more_is_better else value / mine, 2)
        for ours, mine in found.items()
        for peer, value in found.items()
        if ours in OURS and peer in PEERS
    }


def started_for(arguments: argparse.Namespace, chosen: Shape, context: int) -> AbstractContextManager[list[Side]]:
    """The sides that were asked for, over a checkpoint."""
    setting = Setting(
        chosen.folder, chosen.dtype, context, arguments.threads, arguments.clock, arguments.batched_tokens
    )
    return started(arguments.sides, setting)


def heading(bench: str, arguments: argparse.Namespace, chosen: Shape) -> dict[str, object]:
    """What the JSON line begins with."""
    named = {name: getattr(arguments, name) for name in ("shape", "threads", "clock", "rounds")}
    return {"bench": bench, **named, **ceilings(chosen.dtype, arguments.threads)}


def ceilings(dtype: str, threads: int) -> dict[str, float]:
    """What the machine can do at most, in a process of its own: GB/s read, and GFLOP/s of a matrix product."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.ceilings", dtype, str(threads)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(label: object, found: Mapping[str, float], better: Mapping[str, float], unit: str) -> str:
    """A line of the table for people."""
    parts = [f"{name} {value:10.4g} {unit}" for name, value in found.items()]
    return f"{label!s:>12}  " + "  ".join(parts) + "   ours " + ", ".join(f"{r:.2f}x {n}" for n, r in better.items())


def asks(batch: int, length: int, vocab: int, seed: int, tokens: int) -> list[Ask]:
    """As many requests at once, alike in size."""
    return [Ask(ids, tokens) for ids in prompts(batch, length, vocab, seed)]
