"""From a question to packed passages, at 10,000, 100,000 or 1,000,000 chunks; and the index beside a plain FAISS one.

    python -m tests.bench.search --chunks 100000 [--questions 200] [--index hnsw] [--eval build/eval]
                                   [--data build/bench]

The chunks are those of the evaluation's store, and beyond them synthetic ones: half the sentences of one chunk with
half of another's, under a vector between theirs. Questions and settings are those whose quality tests/eval measures.
One search at a time; ours scans on all cores, plain FAISS on one. `_cpu_ms` is the mean of processor time, which other
work on the machine does not stretch; of questions, the 95th percentile too. With `--index hnsw`, a graph of the store
is built first and searches go by it; its recall is against the plain index. The ceiling of the index alone is reading
its bytes once: 768 a chunk, 1,536 for the plain index.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from hrm_model.tokenizer import load_tokenizer
from retrieval.embedder import MiniLM, Vectors
from retrieval.index import Visible
from retrieval.library import Library
from retrieval.mirror import Mirror
from retrieval.opening import open_library
from retrieval.store import attaching, contents, files, meta, passages, stores
from retrieval.store.contents import Content, StoredChunk
from retrieval.store.database import Database
from retrieval.store.scope import Scope
from retrieval.types import Access, Passage
from server.fitting import costs
from server.settings import BUNDLED_MODEL
from tests.eval.library import READER
from tests.eval.questions import read_questions

STORE = "bench"
PER_DOCUMENT = 20
K = 6  # passages, as the server asks for
DEPTH = 50  # candidates, as a search takes from the index


def main() -> None:
    arguments = _arguments()
    arguments.data.mkdir(parents=True, exist_ok=True)
    embedder = MiniLM()
    embedder.load()
    database = Database(arguments.data / "store.db")
    build(database, arguments.eval, arguments.chunks)
    database.close()
    figures: dict[str, Any] = {"chunks": arguments.chunks, "machine": platform.processor(), "cores": os.cpu_count()}
    began = time.perf_counter()
    library = open_library(arguments.data, embedder)
    figures["first_start_s"] = time.perf_counter() - began
    library._mirror.save()
    if arguments.index == "hnsw":
        began = time.perf_counter()
        figures["in_graph"] = build_graph(library._mirror)
        figures["graph_s"] = time.perf_counter() - began
    questions = [asked.question for asked in read_questions()][: arguments.questions]
    figures |= whole(library, questions)
    figures |= index_alone(library._mirror, embedder.embed(questions))
    figures |= changes(library, embedder)
    library.close()
    began = time.perf_counter()
    library = open_library(arguments.data, embedder)
    figures["start_s"] = time.perf_counter() - began
    library.close()
    figures["store_bytes_per_chunk"] = (arguments.data / "store.db").stat().st_size / arguments.chunks
    figures["snapshot_bytes_per_chunk"] = (
        sum(path.stat().st_size for path in (arguments.data / "index").iterdir()) / arguments.chunks
    )
    figures["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, value in figures.items():
        print(f"{name:40} {value:.2f}" if isinstance(value, float) else f"{name:40} {value}")
    print(json.dumps(figures))


def whole(library: Library, questions: Sequence[str]) -> dict[str, float]:
    """A question as the server asks it: embedded, searched, fused, and counted into the prompt's budget."""
    tokenizer = load_tokenizer(BUNDLED_MODEL)

    class Counting:
        def count(self, texts: Sequence[str]) -> list[int]:
            return [len(tokenizer.encode(text)) for text in texts]

    async def ask(question: str) -> list[Passage]:
        hits = await library.search(question, stores=[STORE], k=K, reader=READER)
        costs(hits.passages, Counting())  # type: ignore[arg-type]  # only counts
        return list(hits.passages)

    async def run(name: str) -> dict[str, float]:
        times, cpu = [], []
        for question in questions:
            began, before = time.perf_counter(), time.process_time()
            found = await ask(question)
            times.append(time.perf_counter() - began)
            cpu.append(time.process_time() - before)
            assert len(found) == K, "a search brought fewer passages than there are"
        slow = {f"{name.removesuffix('_ms')}_cpu_p95_ms": float(np.percentile(cpu, 95)) * 1000}
        return _spread(name, times, sum(cpu)) | slow

    return asyncio.run(run("question_first_time_ms")) | asyncio.run(run("question_ms"))


def build_graph(mirror: Mirror) -> int:
    """Have the store searched by a graph; return how many chunks that one holds."""
    mirror.try_graph(1)
    while mirror.grow_graphs():
        pass
    return mirror.rows_in_graph(1)


def index_alone(mirror: Mirror, queries: Vectors) -> dict[str, float]:
    """The index without and with a filter, and a plain FAISS index of the same vectors in the same process."""
    with mirror.view() as tx:
        everything = mirror.visible(Scope((1,)))
        numbers = np.flatnonzero(everything)
        chance = np.random.default_rng(4).random(len(everything))
        figures: dict[str, float] = {}

        def timed(name: str, search: Callable[[Vectors], list[int]]) -> list[list[int]]:
            search(queries[0])
            times, found, cpu = [], [], time.process_time()
            for query in queries:
                began = time.perf_counter()
                found.append(search(query))
                times.append(time.perf_counter() - began)
            figures.update(_spread(name, times, time.process_time() - cpu))
            return found

        def ours(visible: Visible) -> Callable[[Vectors], list[int]]:
            return lambda query: mirror.nearest(tx, query, DEPTH, visible)

        found = timed("index_ms", ours(everything))
        timed("index_half_visible_ms", ours(everything & (chance < 0.5)))
        timed("index_1_percent_visible_ms", ours(everything & (chance < 0.01)))
        plain = faiss.IndexFlatIP(queries.shape[1])
        for start in range(0, len(numbers), 10_000):
            blobs = passages.vectors_of(tx, numbers[start : start + 10_000].tolist())
            plain.add(np.frombuffer(b"".join(blobs), np.dtype("<f4")).reshape(len(blobs), -1))

        def by_faiss(query: Vectors) -> list[int]:
            _, rows = plain.search(query[None], DEPTH)
            return [int(number) for number in numbers[rows[0]]]

        bound = timed("plain_faiss_ms", by_faiss)
    recalls = [len(set(mine[:10]) & set(theirs[:10])) / 10 for mine, theirs in zip(found, bound, strict=True)]
    figures["recall_at_10"] = float(np.mean(recalls))
    figures["index_over_plain_faiss"] = figures["index_cpu_ms"] / figures["plain_faiss_cpu_ms"]
    return figures


def changes(library: Library, embedder: MiniLM) -> dict[str, float]:
    """One document of three chunks added and found, and removed and not found; without reading and embedding it."""
    texts = [f"Note {number} says that the harbour of Port Senning closes at dusk." for number in range(3)]
    vectors = embedder.embed(texts)
    chunks = [StoredChunk(0, 9, "Note", text, vector.tobytes()) for text, vector in zip(texts, vectors, strict=True)]
    adding, removing = [], []
    for number in range(20):
        began = time.perf_counter()
        with library._database.write() as tx:
            store_no = stores.number(tx, STORE, READER)
            file_no, file_id = files.add(tx, owner="user:eval", filename="note", size=1, sha256=f"note {number}")
            contents.complete(tx, attaching.attach(tx, store_no, file_no), Content("Note", texts[0], "x", chunks))
        with library._mirror.view():
            pass
        adding.append(time.perf_counter() - began)
        began = time.perf_counter()
        asyncio.run(library.delete(file_id, READER))
        removing.append(time.perf_counter() - began)
    return _spread("add_ms", adding) | _spread("delete_ms", removing)


def build(database: Database, source: Path, count: int) -> None:
    """Fill a store with that many chunks, unless it has them; in bulk, with the lexical index made at the end."""
    with database.write() as tx:
        if stores.exists(tx, STORE):
            ((held,),) = tx.rows("SELECT count(*) FROM chunks")
            if held == count:
                return
            raise SystemExit(f"{database.path} holds {held} chunks; name another folder for {count}")
        store_no = stores.create(tx, STORE, READER, Access(read=("*",), write=("user:eval",)))
        ((trigger,),) = tx.rows("SELECT sql FROM sqlite_master WHERE name = 'chunk_added'")
        tx.run("DROP TRIGGER chunk_added")
        meta.advance(tx)
        chunks = synthetic(source, count)
        for first in range(0, count, PER_DOCUMENT):
            file_no, _ = files.add(tx, owner="user:eval", filename=f"{first}.txt", size=1, sha256=f"file {first}")
            document_no = attaching.attach(tx, store_no, file_no)
            held_now = list(islice(chunks, PER_DOCUMENT))
            tx.many(
                "INSERT INTO chunks (chunk_no, document_no, store_no, start_char, end_char, title, text)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (first + at, document_no, store_no, chunk.start_char, chunk.end_char, chunk.title, chunk.text)
                    for at, chunk in enumerate(held_now, start=1)
                ],
            )
            tx.many(
                "INSERT INTO vectors (chunk_no, vector) VALUES (?, ?)",
                [(first + at, chunk.vector) for at, chunk in enumerate(held_now, start=1)],
            )
            if first % 10_000 == 0:
                print(f"\r{first:,} of {count:,} chunks", end="", flush=True)
        tx.run("UPDATE documents SET status = 'completed'")
        tx.run("INSERT INTO chunk_words (chunk_words) VALUES ('rebuild')")
        tx.run(trigger)
    print()


def synthetic(source: Path, count: int) -> Iterator[StoredChunk]:
    """The evaluation's chunks, and mixtures of two of them, with a fixed seed."""
    database = Database(source / "store.db")
    with database.read() as tx:
        real = tx.rows(
            "SELECT title, text, vector FROM chunks JOIN vectors USING (chunk_no) ORDER BY chunk_no LIMIT ?", count
        )
    database.close()
    for title, text, vector in real:
        yield StoredChunk(0, len(text), title, text, vector)
    vectors = np.frombuffer(b"".join(row[2] for row in real), np.dtype("<f4")).reshape(len(real), -1)
    chosen, noise = random.Random(4), np.random.default_rng(4)
    for _ in range(count - len(real)):
        one, other = chosen.randrange(len(real)), chosen.randrange(len(real))
        halves = [*_half(real[one][1], chosen), *_half(real[other][1], chosen)]
        mixed = 0.7 * vectors[one] + 0.3 * vectors[other] + noise.standard_normal(vectors.shape[1], np.float32) * 0.01
        mixed /= np.linalg.norm(mixed)
        text = ". ".join(halves)
        yield StoredChunk(0, len(text), real[one][0], text, mixed.astype(np.dtype("<f4")).tobytes())


def _half(text: str, chosen: random.Random) -> list[str]:
    sentences = text.split(". ")
    return chosen.sample(sentences, (len(sentences) + 1) // 2)


def _spread(name: str, seconds: Sequence[float], cpu_s: float | None = None) -> dict[str, float]:
    figures = {f"{name}_p{share}": float(np.percentile(seconds, share)) * 1000 for share in (50, 95, 99)}
    if cpu_s is not None:
        figures[f"{name.removesuffix('_ms')}_cpu_ms"] = cpu_s / len(seconds) * 1000
    return figures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=200, help="at most that many, each asked twice")
    parser.add_argument("--index", choices=("exact", "hnsw"), default="exact")
    parser.add_argument("--eval", type=Path, default=Path("build/eval"), help="the store of tests.eval.retrieval")
    parser.add_argument("--data", type=Path, default=Path("build/bench"), help="where the store is made")
    return parser.parse_args()


if __name__ == "__main__":
    main()
