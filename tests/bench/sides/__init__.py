"""The engines that are compared, each in a process of its own and with its weights loaded once.

A side reads one JSON line a question and answers with one:

    {"requests": [{"ids": [...], "max_tokens": m, "after": k, "n": n}]}
    {"wall": [[s, ...], ...], "cpu": [[s, ...], ...]}

The answer has the seconds since the question was read at which each token of each request was there: by the clock on
the wall, and by the processor time that the side has used. A request with `after` joins when the first one has so many
tokens. Answers go on to max_tokens whatever they say. All sides run on as many threads, one after the other: who is not
asked sleeps.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
READY = {"ready": True}
OURS = {"native": "auto", "int8": "int8", "int4": "int4"}  # our engine, by the number format of its stacks' weights
PEERS_PYTHON = "PEERS_PYTHON"  # the environment variable that `make bench-peers` sets
VLLM_SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "4",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: token ids, as many tokens in answer, when it joins, and how many answers it wants."""

    ids: Sequence[int]
    max_tokens: int
    after: int = 0
    n: int = 1


@dataclass(frozen=True, slots=True)
class Setting:
    """How a side is started."""

    model: Path
    dtype: str
    context: int
    threads: int
    clock: str = "wall"  # or "cpu": processor seconds of the side's process, which others on the machine disturb less
    batched_tokens: int = 8192  # that vLLM reads at a time at most, and tries out when it starts


class Side:
    """A started side."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", clock: str) -> None:
        self.name, self._process, self._clock = name, process, clock

    def end(self) -> None:
        """End the process, and wait for it."""
        self._process.terminate()
        with self._process:
            pass  # leaving closes its pipes and waits

    def read(self) -> dict[str, object]:
        """The next line; what the libraries print by themselves is passed over."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, object] = json.loads(line)
                return found
        raise RuntimeError(f"{self.name} has ended with exit code {self._process.wait()}")

    def ask(self, asks: Sequence[Ask], *, is_kept: bool = False) -> list[list[float]]:
        """When each token of each answer was there, in seconds.

        Args:
            is_kept: whether ours is to find these prompts again; the others keep none. Each that is kept lies in memory
                that was never touched, which a virtual machine may be long in giving; a cache that is full has it.
        """
        stdin: IO[str] | None = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps({"requests": [asdict(one) for one in asks], "is_kept": is_kept}) + "\n")
        stdin.flush()
        times = self.read()[self._clock]
        assert isinstance(times, list)
        wrong = [len(mine) for mine, one in zip(times, asks, strict=True) if len(mine) != one.n * one.max_tokens]
        assert not wrong, f"{self.name} gave {wrong} tokens"
        return times


def command(name: str, setting: Setting) -> list[str]:
    """The command line of a side."""
    python = os.environ.get(PEERS_PYTHON, "") if name == "vllm" else sys.executable
    if not python:
        raise SystemExit(f"{PEERS_PYTHON} names no Python with vLLM; `make bench-peers` makes one")
    options = [str(setting.model), setting.dtype, str(setting.context), str(setting.threads)]
    if name in OURS:
        return [python, "-u", str(HERE / "native_side.py"), *options, OURS[name]]
    # A prompt longer than vLLM reads at a time is never scheduled: it is read bidirectionally, so it is never cut.
    batched = [str(max(setting.context, setting.batched_tokens))] if name == "vllm" else []
    return [python, "-u", str(HERE / f"{name}_side.py"), *options, *batched]


def environment(name: str, setting: Setting) -> dict[str, str]:
    """The environment of a side: as many threads, no network."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HRM_")}
    kept |= {"OMP_NUM_THREADS": str(setting.threads), "HF_HUB_OFFLINE": "1"}
    if name == "vllm":
        return {**kept, **VLLM_SETTINGS, "VLLM_CPU_OMP_THREADS_BIND": f"0-{setting.threads - 1}", "PYTHONPATH": ""}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])}


@contextmanager
def started(names: Sequence[str], setting: Setting) -> Iterator[list[Side]]:
    """Start sides, and end them."""
    sides: list[Side] = []
    try:
        for name in names:
            print(f"starting {name}", file=sys.stderr)
            process = subprocess.Popen(
                command(name, setting),
                env=environment(name, setting),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            sides.append(Side(name, process, setting.clock))
            assert sides[-1].read() == READY
        yield sides
    finally:
        for side in sides:
            side.end()
