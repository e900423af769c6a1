"""Trains an adapter like `retrieval/entailment.safetensors` on the sets tune, report, plain and contrast.

    python -m tests.bench.grounding.adapt OUT.safetensors [--epochs 3] [--sets plain tune] [--start FILE]

An example is a sentence of an answer beside a sentence of its passages: each that is cited for it, and those uncited
ones that share most words with it. `--entailed --half blind_report` says what came of it.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional

from retrieval.claim import Claim
from retrieval.embedder import MiniLM
from retrieval.entailment import Network, batch, tokens
from server.grounding.sentences import sentences
from tests.bench.grounding.pairs import Pair, load

SETS = ("plain", "contrast", "tune", "report")
RATE = 6e-4
BATCH = 32
WARM_UP = 100  # steps
# Near lengths go together: batches are cut out of so many that are sorted by it.
SORTED = 20
# A cited sentence counts twice: two in three examples are uncited ones.
CITED = 2.0
SMOOTHING = 0.01  # labels are a person's, who errs at times
UNCITED = 2  # examples of each sentence that has no source; of one that has, one less


@dataclass(frozen=True, slots=True)
class Example:
    """A claim and its label."""

    claim: Claim
    is_cited: bool


def examples(pair: Pair) -> Iterator[Example]:
    """Each sentence of an answer beside those of its passages that say it, and beside the likest others."""
    lines = list(_lines(pair))
    for place, cited in zip(sentences(pair.answer), pair.cited, strict=True):
        answer = pair.answer[place.start : place.end]
        if answer.strip(" .!").casefold() in ("yes", "no"):
            continue
        said = _words(f"{answer} {pair.question}")
        claims = [Claim(pair.question, answer, source, title, before) for title, before, source in lines]
        right = [claim for claim in claims if any(words in claim.source for words in cited)]
        wrong = sorted((claim for claim in claims if claim not in right), key=lambda claim: -_shared(said, claim))
        yield from (Example(claim, is_cited=True) for claim in right)
        yield from (Example(claim, is_cited=False) for claim in wrong[: UNCITED - bool(right)])


def _lines(pair: Pair) -> Iterator[tuple[str, str, str]]:
    for title, text in zip(pair.titles, pair.passages, strict=True):
        before = ""
        for place in sentences(text):
            for line in filter(None, (part.strip() for part in text[place.start : place.end].split("\n"))):
                yield title, before, line
                before = line


def _words(text: str) -> set[str]:
    return set(text.casefold().split())


def _shared(said: set[str], claim: Claim) -> float:
    return len(said & _words(f"{claim.title} {claim.source}")) / math.sqrt(3 + len(claim.source.split()))


def train(network: Network, found: Sequence[tuple[tuple[list[int], list[int]], bool]], epochs: int) -> None:
    """Fit the adapter; prints the loss as it goes."""
    parameters = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01)
    chance = random.Random(0)
    steps, step, loss_seen, began = epochs * len(found) // BATCH, 0, 0.0, time.monotonic()
    network.train()
    for _ in range(epochs):
        for rows in _batches(found, chance):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1, step / WARM_UP) * max(0.02, 1 - step / steps)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(*batch([row for row, _ in rows]))
            labels = torch.tensor([float(is_cited) for _, is_cited in rows])
            wanted = labels * (1 - 2 * SMOOTHING) + SMOOTHING
            losses = functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
            loss = (losses * (1 + (CITED - 1) * labels)).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            loss_seen += 0.02 * (loss.item() - loss_seen)
            if step % 20 == 0:
                seen = loss_seen / (1 - 0.98**step)
                print(f"step {step} of {steps}, loss {seen:.3f}, {time.monotonic() - began:.0f} s", flush=True)


def _batches(
    found: Sequence[tuple[tuple[list[int], list[int]], bool]], chance: random.Random
) -> list[list[tuple[tuple[list[int], list[int]], bool]]]:
    order = list(range(len(found)))
    chance.shuffle(order)
    cut = []
    for start in range(0, len(order), SORTED * BATCH):
        near = sorted(order[start : start + SORTED * BATCH], key=lambda at: len(found[at][0][0]))
        cut += [[found[at] for at in near[first : first + BATCH]] for first in range(0, len(near), BATCH)]
    chance.shuffle(cut)
    return cut


def main() -> None:
    """Read the pairs, train, and write the adapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--start", type=Path, help="an adapter to go on from")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    embedder = MiniLM()
    network = Network(embedder.network())
    if arguments.start:
        network.read(arguments.start)
    pairs = [pair for name in arguments.sets for pair in load(name)]
    found = [example for pair in pairs for example in examples(pair)]
    rows = [(tokens(example.claim, embedder.encode, embedder.marks), example.is_cited) for example in found]
    train(network, rows, arguments.epochs)
    save_file({name: each.to(torch.bfloat16) for name, each in network.adapted().items()}, arguments.out)
    print(json.dumps({"pairs": len(pairs), "examples": len(rows), "epochs": arguments.epochs}))


if __name__ == "__main__":
    main()
