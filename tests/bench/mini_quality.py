"""How well a checkpoint reads the passages in front of it, against a baseline without a model.

The data is the training data's generator at its hardest level but with exactly `--passages` passages, on three splits
that training never met: new names with known wordings, new wordings, and pages written by hand that were kept out of
training. Right means: the response, exactly. The baseline answers with the sentence nearest to the question
(all-MiniLM-L6-v2, cosine) and abstains below a threshold that is tuned on training data; it is right where that
sentence holds the answer, which is generous. An extractive checkpoint is held to spans of its passages, as the server
holds it; `--free` lets it say what it likes. With `--strict` it answers as it does by default in the server: leaning
away from declining, as its configuration says, and what strict grounding withholds counts as declined.

    python -m tests.bench.mini_quality --model hrm_model/mini --count 600
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from hrm_model.config import read_config
from hrm_model.engine import NativeEngine
from hrm_model.loading import load_engine
from hrm_model.template import UNANSWERABLE
from hrm_model.training.grounded import LEVELS, PAGES, Example, examples, page_examples
from hrm_model.types import Question, Sampling, SpanOf, Text
from retrieval.embedder import MiniLM
from server.grounding.cite import CitedText
from server.grounding.likeness import Likeness
from server.grounding.support import Sources

AT_ONCE = 128  # its queue takes more


@dataclass(frozen=True, slots=True)
class Held:
    """To what the answers are held: spans of the passages, leaning so far from declining; and strict grounding."""

    is_to_spans: bool
    leaning: float = 0.0
    is_strict: bool = False


async def answer(engine: NativeEngine, example: Example, held: Held) -> str:
    """The greedy answer to one example."""
    pieces = []
    texts = tuple(source.text for source in example.passages)
    spans = SpanOf(texts, (UNANSWERABLE,), held.leaning) if held.is_to_spans else None
    sampling = Sampling(max_tokens=96, grammar=spans)
    async with aclosing(engine.generate(Question(example.instruction), sampling)) as events:
        async for event in events:
            if isinstance(event, Text):
                pieces.append(event.text)
    return "".join(pieces)


async def answers(engine: NativeEngine, batch: Sequence[Example], held: Held) -> list[str]:
    """Greedy answers to many examples, as many at a time as the engine is sure to take."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(example: Example) -> str:
        async with places:
            return await answer(engine, example, held)

    return list(await asyncio.gather(*map(one, batch)))


def withheld(said: Sequence[str], batch: Sequence[Example], embedder: MiniLM) -> list[str]:
    """The same answers, declined where strict grounding leaves nothing of them."""
    likeness = Likeness(lambda: embedder)
    kept = []
    for text, example in zip(said, batch, strict=True):
        texts = [source.text for source in example.passages]
        titles = [source.title for source in example.passages]
        sources = Sources(texts, example.question, likeness, titles, likeness.entailed)
        cited = CitedText(sources, mode="strict", abstention=UNANSWERABLE)
        cited.grow(text)
        kept.append(UNANSWERABLE if cited.end()[1].replaced else text)
    return kept


def share(right: Sequence[bool]) -> float:
    """The share of True; NaN of nothing."""
    return float(np.mean(right)) if right else float("nan")


def nearest(embedder: MiniLM, batch: Sequence[Example]) -> tuple[list[str], list[float]]:
    """Per example the sentence nearest to its question, and how near it is."""
    sentences, scores = [], []
    for example in batch:
        vectors = embedder.embed([example.question, *example.sentences])
        near = vectors[1:] @ vectors[0]
        sentences.append(example.sentences[int(near.argmax())])
        scores.append(float(near.max()))
    return sentences, scores


def baseline(
    batch: Sequence[Example], sentences: Sequence[str], scores: Sequence[float], threshold: float
) -> list[bool]:
    """Whether the baseline is right, example by example."""
    return [
        score < threshold if example.kind == "unanswerable" else score >= threshold and example.response in sentence
        for example, sentence, score in zip(batch, sentences, scores, strict=True)
    ]


def tuned(embedder: MiniLM, batch: Sequence[Example]) -> float:
    """The threshold that is right most often on training data."""
    sentences, scores = nearest(embedder, batch)
    thresholds = [step / 100 for step in range(96)]
    return max(thresholds, key=lambda threshold: share(baseline(batch, sentences, scores, threshold)))


def main() -> None:
    """Print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("hrm_model/mini"))
    parser.add_argument("--count", type=int, default=600, help="examples of each split")
    parser.add_argument("--passages", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--show", type=int, default=0, help="wrong answers to print, of each split")
    parser.add_argument("--free", action="store_true", help="hold it to nothing")
    parser.add_argument("--strict", action="store_true", help="as the server answers by default")
    arguments = parser.parse_args()
    config = read_config(arguments.model)
    held = Held(
        config.is_extractive and not arguments.free,
        config.abstention_bias if arguments.strict else 0.0,
        arguments.strict,
    )
    size = (arguments.passages, arguments.passages)
    level, pages = replace(LEVELS[-1], passages=size), replace(PAGES, passages=size)
    tests = {
        "names": examples(arguments.seed, level, "names"),
        "wordings": examples(arguments.seed, level, "wordings"),
        "pages": page_examples(arguments.seed, pages, "wordings"),
    }
    embedder = MiniLM()
    threshold = tuned(embedder, list(islice(examples(arguments.seed, level, "train"), arguments.count)))
    engine = load_engine(arguments.model, dtype=arguments.dtype)
    engine.start()
    result: dict[str, object] = {"model": arguments.model.name, "passages": arguments.passages, "n": arguments.count}
    print(f"{'split':10} {'exact':>7} {'spans':>7} {'quotes':>7} {'abstains':>9} {'invents':>8} {'baseline':>9}")
    for split, test in tests.items():
        batch = list(islice(test, arguments.count))
        began = time.perf_counter()
        said = asyncio.run(answers(engine, batch, held))
        seconds = time.perf_counter() - began
        if held.is_strict:
            said = withheld(said, batch, embedder)
        right = [text == example.response for text, example in zip(said, batch, strict=True)]
        of = {
            kind: share([r for r, example in zip(right, batch, strict=True) if example.kind == kind])
            for kind in ("span", "quote", "unanswerable")
        }
        answerable = [text for text, example in zip(said, batch, strict=True) if example.kind != "unanswerable"]
        over = share([text == UNANSWERABLE for text in answerable])
        plain = share(baseline(batch, *nearest(embedder, batch), threshold))
        print(
            f"{split:10} {share(right):7.3f} {of['span']:7.3f} {of['quote']:7.3f} {of['unanswerable']:9.3f}"
            f" {1 - of['unanswerable']:8.3f} {plain:9.3f}"
        )
        result[split] = {
            "exact_match": round(share(right), 4),
            **{kind: round(value, 4) for kind, value in of.items()},
            "abstained_though_answerable": round(over, 4),
            "baseline": round(plain, 4),
            "answers_per_s": round(len(batch) / seconds, 1),
        }
        wrong = [(e, t) for e, t, r in zip(batch, said, right, strict=True) if not r]
        for example, text in wrong[: arguments.show]:
            print(f"--- {example.kind}\n{example.instruction}\n=> {example.response!r}, said {text!r}")
    engine.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
