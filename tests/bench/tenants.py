"""Whether a person can tell from the time to the first token what another person behind the same application asked.

In each round, in random order, Bea asks what Anna has just asked twice, what nobody has asked, and once more what she
herself has asked: each prompt of the same size. The last is the control: prompts are found again by whoever asked
them, so those times must be told apart, or the measurement could not tell anything.

    make bench B=tenants
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import openai

from tests.e2e.served import ROOT, serving
from tests.identity_provider import AUDIENCE, ISSUER, Provider

WORDS = [
    "claim",
    "deposit",
    "premium",
    "garden",
    "letter",
    "office",
    "winter",
    "policy",
    "desk",
    "harbour",
    "meadow",
    "clerk",
]
SHUFFLES = 10_000


def share_shorter(times: Sequence[float], others: Sequence[float]) -> float:
    """Of all pairs, the share in which the first is the shorter: 0.5 where nothing can be told (the area under ROC)."""
    pairs = [(mine < other) + (mine == other) / 2 for mine in times for other in others]
    return sum(pairs) / len(pairs)


def chance(times: Sequence[float], others: Sequence[float], generator: random.Random) -> float:
    """How often times that are dealt out at random are as far apart as these (two-sided permutation test)."""
    seen = abs(share_shorter(times, others) - 0.5)
    both, far = [*times, *others], 0
    rank = {value: at for at, value in enumerate(sorted(both))}
    ranks = [rank[value] for value in both]
    count, rest = len(times), len(others)
    for _ in range(SHUFFLES):
        generator.shuffle(ranks)
        above = sum(ranks[:count]) - count * (count - 1) / 2  # pairs in which the first is the longer
        far += abs(above / (count * rest) - 0.5) >= seen - 1e-12
    return (far + 1) / (SHUFFLES + 1)


def main() -> None:
    """Print medians and verdicts, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    provider = Provider()
    found: dict[str, list[float]] = {"asked by another": [], "asked by nobody": [], "asked by oneself": []}
    with tempfile.TemporaryDirectory() as folder:
        jwks = provider.publish(Path(folder) / "jwks.json")
        flags = ["--oidc-issuer", ISSUER, "--oidc-audience", AUDIENCE, "--oidc-jwks-file", str(jwks)]
        with serving(Path(folder), ROOT / "hrm_model" / "mini", flags) as served:
            made = served.command("keys", "create", "--principal", "user:portal", "--role", "ask", "--role", "act-for")
            client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=made.stdout.strip(), max_retries=0)

            def seconds(person: str, text: str) -> float:
                began = time.perf_counter()
                stream = client.chat.completions.create(
                    model="hrm-text-mini",
                    messages=[{"role": "user", "content": "Where is the clerk's desk?"}],
                    stream=True,
                    temperature=0,
                    max_tokens=4,
                    extra_headers={"X-On-Behalf-Of": f"Bearer {provider.token(person)}"},
                    extra_body={"documents": [{"title": "Notes", "text": text}]},
                )
                took = 0.0
                for chunk in stream:
                    if not took and chunk.choices and chunk.choices[0].delta.content:
                        took = time.perf_counter() - began
                assert took, "no token came"
                return took

            def text() -> str:
                return " ".join(generator.choice(WORDS) for _ in range(120)) + "."

            for _ in range(arguments.rounds):
                known, own = text(), text()
                seconds("anna", known)
                seconds("anna", known)
                seconds("bea", own)
                asks = [("asked by another", known), ("asked by nobody", text()), ("asked by oneself", own)]
                generator.shuffle(asks)
                for kind, prompt in asks:
                    found[kind].append(seconds("bea", prompt))
    new = found["asked by nobody"]
    told = {
        kind: {
            "median_s": round(statistics.median(times), 4),
            "share_shorter": round(share_shorter(times, new), 3),
            "p": round(chance(times, new, generator), 4),
        }
        for kind, times in found.items()
        if times is not new
    }
    print(f"asked by nobody    {statistics.median(new) * 1e3:7.1f} ms")
    for kind, row in told.items():
        said = f"shorter in {row['share_shorter']:.1%} of pairs, p = {row['p']}"
        print(f"{kind:18} {row['median_s'] * 1e3:7.1f} ms   {said}")
    print(json.dumps({"rounds": arguments.rounds, "nobody_median_s": round(statistics.median(new), 4), **told}))


if __name__ == "__main__":
    main()
