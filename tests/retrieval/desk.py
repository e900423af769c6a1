"""What the tests of the store share: a fast embedder that needs no weights, and files to ingest."""

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrieval.embedder import DIMS, Vectors
from retrieval.types import Passage, Reader

ANNA = Reader(frozenset({"user:anna"}))
BEN = Reader(frozenset({"user:ben"}))


class WordsEmbedder:
    """Adds up one fixed direction for each word: texts with common words are near each other. The same everywhere."""

    dims = DIMS

    def __init__(self, fingerprint: str = "words@1") -> None:
        self.fingerprint = fingerprint

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), DIMS), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                row[zlib.crc32(word.encode()) % DIMS] += 1
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.maximum(lengths, np.finfo(np.float32).tiny)
        return rows

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        return [self.embed(re.findall(r"\w+", text.casefold())) for text in texts]


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def files(folder: Path, count: int) -> list[Path]:
    """Documents of three paragraphs; number n holds the code `CODE-n` and the word `subject<n>`."""
    return [
        write(
            folder,
            f"document-{number:02}.md",
            f"# Document {number}\n\n## Subject\n\nThis is about subject{number} and nothing else.\n\n"
            f"## Codes\n\nThe code of it is CODE-{number}, valid since {1900 + number}.\n\n"
            f"## Owners\n\nIt is owned by the department of subject{number}.\n",
        )
        for number in range(count)
    ]


def texts(passages: Sequence[Passage]) -> list[str]:
    return [passage.text for passage in passages]
