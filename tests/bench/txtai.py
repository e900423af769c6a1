"""A question to passages, beside txtai over the same chunks and vectors: by the clock, and in processor time.

    make bench-txtai A='--chunks 10000 [--eval build/eval] [--data build/bench-10000]'

Both embed the question, look through every vector, weigh words, fuse the two, and bring six passages with their text
out of SQLite. They take turns, question by question, each on as many threads. Ours also applies access lists and
collapses copies. The store is that of `tests.bench.search`.
"""

import argparse
import asyncio
import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.embedder import MiniLM
from retrieval.opening import open_library
from retrieval.store.database import Database
from tests.bench.search import STORE, K, build
from tests.eval.library import READER
from tests.eval.questions import read_questions

SIDE = Path(__file__).parent / "sides" / "txtai_side.py"
TXTAI_PYTHON = "TXTAI_PYTHON"  # the environment variable that `make bench-txtai` sets
WARM_UP = 5  # questions that do not count


class Txtai:
    """The other side, in a process of its own."""

    def __init__(self, store: Path, embedder: MiniLM, threads: int) -> None:
        python = os.environ.get(TXTAI_PYTHON, "")
        if not python:
            raise SystemExit(f"{TXTAI_PYTHON} names no Python with txtai; `make bench-txtai` makes one")
        self._process = subprocess.Popen(
            [python, "-u", str(SIDE), str(store), str(embedder.folder), str(threads)],
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.built = self._read()

    def ask(self, question: str) -> tuple[float, float]:
        """Seconds by the clock and of processors."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"question": question, "k": K}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        assert len(answer["found"]) == K, "txtai brought fewer passages than there are"
        return answer["wall"], answer["cpu"]

    def end(self) -> None:
        self._process.terminate()
        with self._process:
            pass  # leaving closes its pipes and waits

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise RuntimeError(f"txtai has ended with exit code {self._process.wait()}")


async def compare(data: Path, embedder: MiniLM, questions: Sequence[str], threads: int) -> dict[str, float]:
    """Ask both sides every question, twice: the first time, words and pages are new to both."""
    theirs = Txtai(data / "store.db", embedder, threads)
    figures: dict[str, float] = {"txtai_build_cpu_s": theirs.built["build_cpu_s"]}
    try:
        async with open_library(data, embedder) as library:

            async def ask(question: str) -> tuple[float, float]:
                began, cpu = time.perf_counter(), time.process_time()
                hits = await library.search(question, stores=[STORE], k=K, reader=READER)
                assert len(hits.passages) == K, "a search brought fewer passages than there are"
                return time.perf_counter() - began, time.process_time() - cpu

            for question in questions[:WARM_UP]:
                await ask(question)
                theirs.ask(question)
            for name in ("first", "again"):
                mine, other = [], []
                for number, question in enumerate(questions[WARM_UP:]):
                    if number % 2:
                        other.append(theirs.ask(question))
                        mine.append(await ask(question))
                    else:
                        mine.append(await ask(question))
                        other.append(theirs.ask(question))
                figures |= _spread(f"{name}_ours", mine) | _spread(f"{name}_txtai", other)
                figures[f"{name}_cpu_ratio"] = figures[f"{name}_txtai_cpu_ms"] / figures[f"{name}_ours_cpu_ms"]
    finally:
        theirs.end()
    return figures


def _spread(name: str, spent: Sequence[tuple[float, float]]) -> dict[str, float]:
    wall, cpu = zip(*spent, strict=True)
    return {
        **{f"{name}_p{share}_ms": float(np.percentile(wall, share)) * 1000 for share in (50, 95)},
        f"{name}_cpu_ms": float(np.mean(cpu)) * 1000,
        f"{name}_cpu_p95_ms": float(np.percentile(cpu, 95)) * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=60, help="at most that many, each asked twice")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--eval", type=Path, default=Path("build/eval"), help="the store of tests.eval.retrieval")
    parser.add_argument("--data", type=Path, default=None, help="where the store is made; default build/bench-CHUNKS")
    arguments = parser.parse_args()
    data = arguments.data or Path(f"build/bench-{arguments.chunks}")
    data.mkdir(parents=True, exist_ok=True)
    embedder = MiniLM()
    embedder.load()
    database = Database(data / "store.db")
    build(database, arguments.eval, arguments.chunks)
    database.close()
    questions = [asked.question for asked in read_questions()][: arguments.questions]
    figures = {"chunks": float(arguments.chunks)}
    figures |= asyncio.run(compare(data, embedder, questions, arguments.threads))
    for name, value in figures.items():
        print(f"{name:32} {value:.2f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
