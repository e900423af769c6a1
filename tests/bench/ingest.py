"""What taking documents in costs beside embedding them: chunks a second of both, in one run.

One side is sentence-transformers' own `encode` over the texts of all chunks, which it may sort as it likes. The other
reads the files in a process of their own, cuts them, embeds them, and commits each to a store on disk. They take turns,
so that a busy machine slows both.

    python -m tests.bench.ingest --files 60
"""

import argparse
import asyncio
import json
import random
import resource
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from docx.document import Document as WordDocument
from sentence_transformers import SentenceTransformer

from retrieval.chunking import cut
from retrieval.embedder import MiniLM
from retrieval.opening import open_library
from retrieval.parse import parse
from retrieval.types import Document, Reader
from tests.retrieval.papers import lines, pdf, word

SAMPLES = Path(__file__).parents[2] / "server" / "samples"
READER = Reader(frozenset({"user:bench"}))
LINES_A_PAGE = 45


def make_files(folder: Path, count: int, seed: int) -> list[Path]:
    """Documents of 4 to 40 paragraphs of the samples, in their own order: text, Word and PDF in turn."""
    draw = random.Random(seed)
    paragraphs = [
        paragraph
        for path in sorted(SAMPLES.iterdir())
        for paragraph in parse(path, path.read_bytes()).text.split("\n\n")
        if len(paragraph) > 80
    ]
    paths = []
    for number in range(count):
        chosen = draw.sample(paragraphs, draw.randint(4, 40))
        path = folder / f"document-{number:03}{('.txt', '.docx', '.pdf')[number % 3]}"
        path.write_bytes(_spelled(path.suffix, [f"Document {number}.", *chosen]))
        paths.append(path)
    return paths


def _spelled(suffix: str, paragraphs: Sequence[str]) -> bytes:
    if suffix == ".docx":

        def build(document: WordDocument) -> None:
            for text in paragraphs:
                document.add_paragraph(text)

        return word(build)
    if suffix == ".pdf":
        words = " ".join(paragraphs).split()
        rows = [" ".join(words[start : start + 12]) for start in range(0, len(words), 12)]
        return pdf(*(lines(*rows[start : start + LINES_A_PAGE]) for start in range(0, len(rows), LINES_A_PAGE)))
    return "\n\n".join(paragraphs).encode()


def texts_of(paths: Sequence[Path], embedder: MiniLM) -> list[str]:
    """The text of each chunk, as it is embedded."""
    found = []
    for path in paths:
        parsed = parse(path, path.read_bytes())
        found += [f"{chunk.title}\n{parsed.text[chunk.start : chunk.end]}" for chunk in cut(parsed, embedder.count)]
    return found


@dataclass(frozen=True, slots=True)
class Spent:
    """What something took: seconds by the clock, and of processors, those of ended child processes included."""

    clock_s: float
    processor_s: float


@contextmanager
def measured() -> Iterator[list[Spent]]:
    """Put what the block took into the list."""
    spent: list[Spent] = []
    clock, processor = perf_counter(), _processor_s()
    yield spent
    spent.append(Spent(perf_counter() - clock, _processor_s() - processor))


def _processor_s() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


async def ingest(paths: Sequence[Path], embedder: MiniLM) -> tuple[int, Spent]:
    """Chunks taken in, and what it took from opening an empty store to closing it."""
    with tempfile.TemporaryDirectory() as data, measured() as spent:
        async with open_library(Path(data), embedder) as library:
            outcomes = await library.ingest_all(paths, store="bench", reader=READER)
    documents = [outcome for outcome in outcomes if isinstance(outcome, Document)]
    assert len(documents) == len(paths), "a file was refused"
    return sum(document.chunks for document in documents), spent[0]


def main() -> None:
    """Print a line for each round, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=4)
    arguments = parser.parse_args()
    embedder = MiniLM()
    embedder.load()
    bare = SentenceTransformer(str(embedder.folder), device="cpu", local_files_only=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_files(Path(folder), arguments.files, arguments.seed)
        texts = texts_of(paths, embedder)
        bare.encode(texts[:32])
        rounds: list[tuple[Spent, Spent]] = []
        for number in range(arguments.rounds):
            with measured() as spent:
                bare.encode(texts, show_progress_bar=False)
            (alone,) = spent
            chunks, ours = asyncio.run(ingest(paths, embedder))
            assert chunks == len(texts), "both sides embed the same chunks"
            rounds.append((ours, alone))
            for name, side in (("ingest", ours), ("encode", alone)):
                rate = chunks / side.clock_s
                print(f"round {number + 1}: {name} {rate:.1f} chunks/s, {side.processor_s:.2f} s of processors")
    print(
        json.dumps(
            {
                "files": len(paths),
                "chunks": len(texts),
                "ingest_chunks_per_s": round(len(texts) / statistics.median(ours.clock_s for ours, _ in rounds), 1),
                "encode_chunks_per_s": round(len(texts) / statistics.median(alone.clock_s for _, alone in rounds), 1),
                "ratio": round(statistics.median(alone.clock_s / ours.clock_s for ours, alone in rounds), 3),
                # On a machine with other work, the clock measures that; processors are charged for their own.
                "processor_ratio": round(
                    statistics.median(alone.processor_s / ours.processor_s for ours, alone in rounds), 3
                ),
            }
        )
    )


if __name__ == "__main__":
    main()
