"""How well the store finds what was asked: nDCG@10, R@1 and R@5 for each setting, on questions with one right passage.

    python -m tests.eval.retrieval [--half report] [--distractors 20000] [--data build/eval]

`faq` are question headings against what stands below them; `asked` are questions written about passages of the
documentation and of the sample handbook; `second` are follow-ups, looked up as the server looks them up. All are asked
among the sections of ten manuals. Settings were chosen on the half `tune`; figures to be quoted are of `report`.
"""

import argparse
import json
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from retrieval.embedder import MiniLM
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store.database import Database
from retrieval.types import Fusion, Passage
from server.query import rewrite_query
from tests.eval.corpus import read_corpus
from tests.eval.library import READER, STORE, fill
from tests.eval.questions import Asked, headings, read_follow_ups, read_questions

DEPTH = 20  # passages looked at: what stands deeper counts as not found


@dataclass(frozen=True, slots=True)
class Setting:
    """A way of searching: what the library offers, or two of its rankings fused by rank."""

    name: str
    fusion: Fusion
    by_rank_with: Fusion | None = None


DENSE, LEXICAL = Fusion(1.0, 0.0), Fusion(0.0, 1.0)
SETTINGS = (
    Setting("default", Fusion()),
    Setting("dense alone", DENSE),
    Setting("lexical alone", LEXICAL),
    Setting("ranks, equal weights", DENSE, by_rank_with=LEXICAL),
    *(Setting(f"scores, {1 - share:.1f} to {share:.1f}", Fusion(1 - share, share)) for share in (0.1, 0.2, 0.4, 0.5)),
    Setting("late interaction, 20", Fusion(late_interaction=20)),
)


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the questions of one set."""

    questions: int
    ndcg: float
    first: float
    in_five: float


async def main() -> None:
    arguments = _arguments()
    arguments.data.mkdir(parents=True, exist_ok=True)
    embedder = MiniLM()
    database = Database(arguments.data / "store.db")
    fill(database, embedder, arguments.distractors)
    database.close()
    sets = question_sets(arguments.half)
    lines = []
    async with open_library(arguments.data, embedder) as library:
        print(f"half: {arguments.half}; " + ", ".join(f"{name}: {len(asked)}" for name, asked in sets.items()))
        print(f"{'':24}" + "".join(f"{name:>9} nDCG  R@1  R@5" for name in sets))
        for setting in SETTINGS:
            found = {name: await quality(partial(look_up, library, setting), asked) for name, asked in sets.items()}
            print(
                f"{setting.name:24}" + "".join(f"{q.ndcg:14.3f} {q.first:.2f} {q.in_five:.2f}" for q in found.values()),
                flush=True,
            )
            lines.append({"setting": setting.name, **{name: [q.ndcg, q.first, q.in_five] for name, q in found.items()}})
    print(json.dumps({"half": arguments.half, "distractors": arguments.distractors, "settings": lines}))


def question_sets(half: str) -> dict[str, list[Asked]]:
    sets = {"faq": headings(read_corpus()), "asked": read_questions(), "second": read_follow_ups()}
    return {name: [asked for asked in all_of if half in ("both", asked.half)] for name, all_of in sets.items()}


async def quality(search: Callable[[str], Awaitable[list[Passage]]], asked: Sequence[Asked]) -> Quality:
    ranks = [rank(question, await search(question_of(question))) for question in asked]
    count = len(ranks)
    return Quality(
        count,
        sum(1 / math.log2(place + 1) for place in ranks if place and place <= 10) / count,
        sum(place == 1 for place in ranks) / count,
        sum(0 < place <= 5 for place in ranks) / count,
    )


def question_of(asked: Asked) -> str:
    """What the server would look up."""
    return rewrite_query(asked.question, [asked.before] if asked.before else [])


def rank(asked: Asked, passages: Sequence[Passage]) -> int:
    """The place of the right passage, from 1; 0: not found. Where a document is one passage, documents are counted."""
    counted: list[str] = []
    for passage in passages:
        is_right = passage.filename == asked.key and asked.says in passage.text
        if is_right:
            return len(counted) + 1
        if asked.says or passage.filename not in counted:
            counted.append(passage.filename)
    return 0


async def look_up(library: Library, setting: Setting, query: str) -> list[Passage]:
    found = await _search(library, query, setting.fusion)
    if setting.by_rank_with is None:
        return found
    other = await _search(library, query, setting.by_rank_with)
    by_id = {passage.chunk_id: passage for passage in (*found, *other)}
    scores = dict.fromkeys(by_id, 0.0)
    for ranking in (found, other):
        for place, passage in enumerate(ranking, start=1):
            scores[passage.chunk_id] += 1 / (60 + place)
    return sorted(by_id.values(), key=lambda passage: -scores[passage.chunk_id])


async def _search(library: Library, query: str, fusion: Fusion) -> list[Passage]:
    hits = await library.search(query, stores=[STORE], k=DEPTH, reader=READER, fusion=fusion)
    return list(hits.passages)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("tune", "report", "both"), default="report")
    parser.add_argument("--distractors", type=int, default=20_000, help="at most that many sections nobody asks about")
    parser.add_argument("--data", type=Path, default=Path("build/eval"), help="where the store is kept between runs")
    return parser.parse_args()


if __name__ == "__main__":
    anyio.run(main)
