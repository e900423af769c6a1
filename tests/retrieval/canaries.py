"""Texts that occur nowhere else, and a search for them that shares nothing with the one under test."""

import gzip
import random
from pathlib import Path

RUN = 12
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def canary(seed: int, words: int = 120) -> str:
    """Paragraphs of made-up words, long ones among them, that no other seed has."""
    draw = random.Random(seed)
    made = ["".join(draw.choices(_LETTERS, k=draw.randint(2, 17))) for _ in range(words)]
    return "\n\n".join(" ".join(made[start : start + 30]) for start in range(0, words, 30))


def holding(folder: Path, text: str, *besides: str) -> dict[str, str]:
    """The files below a folder with a 12-character run of `text` that is in none of the other texts, and the run."""
    runs = _runs(text) - _runs("\0".join(besides))
    found = {}
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for reading in (content, gzip.decompress(content) if content.startswith(b"\x1f\x8b") else b""):
            read = reading.decode("latin-1").lower()
            at = next((at for at in range(len(read) - RUN + 1) if read[at : at + RUN] in runs), None)
            if at is not None:
                found[path.name] = read[at : at + RUN]
    return found


def _runs(text: str) -> set[str]:
    text = text.lower()
    return {text[at : at + RUN] for at in range(len(text) - RUN + 1)}
