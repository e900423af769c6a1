"""What times tell: whether a person learns from the clock what another one behind the same application has asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import numpy as np
import openai
import pytest

from server.settings import BUNDLED_MODEL
from tests.e2e.served import serving
from tests.identity_provider import AUDIENCE, ISSUER, Provider

pytestmark = pytest.mark.soak

ROUNDS = 100
SHUFFLES = 20_000
FIRSTS = ("Bal", "Dor", "Fen", "Gar", "Hol", "Jas", "Kel", "Mor", "Ned", "Pil")
SECONDS = ("bek", "dun", "gate", "lin", "mere", "wick")
WORDS = ("claim", "deposit", "premium", "garden", "letter", "office", "winter", "policy", "harbour", "meadow", "clerk")


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer: seconds to its first token, and how many tokens of its prompt were found again."""

    first_s: float
    cached_tokens: int


def names(generator: Random) -> list[str]:
    """Names for the rounds, three for each, which are no words."""
    given = ["".join(parts) for parts in product(FIRSTS, SECONDS, SECONDS)]
    return generator.sample(given, 3 * ROUNDS)


def write_papers(folder: Path, generator: Random, about: Sequence[str]) -> Path:
    """A document about each name, all of a size, so that each question has a prompt of its own."""
    folder.mkdir()
    for name in about:
        said = " ".join(generator.choice(WORDS) for _ in range(100))
        (folder / f"{name}.txt").write_text(f"The desk of {name} is in the {generator.choice(WORDS)} house: {said}.")
    return folder


def ask(client: openai.OpenAI, token: str, name: str) -> Heard:
    """Where somebody's desk is, looked up in the store."""
    began, took, cached_tokens = perf_counter(), 0.0, 0
    sources: list[str] = []
    for chunk in client.chat.completions.create(
        model="hrm-text-mini",
        messages=[{"role": "user", "content": f"Where is the desk of {name}?"}],
        stream=True,
        stream_options={"include_usage": True},
        temperature=0,
        max_tokens=8,
        extra_headers={"X-On-Behalf-Of": f"Bearer {token}"},
        extra_body={"retrieval": {"max_num_results": 1}},
    ):
        if chunk.usage is not None and chunk.usage.prompt_tokens_details is not None:
            cached_tokens = chunk.usage.prompt_tokens_details.cached_tokens or 0
        for choice in chunk.choices:
            context = getattr(choice.delta, "context", None) or {}
            sources += [citation["filepath"] for citation in context.get("citations") or ()]
            if not took and choice.delta.content:
                took = perf_counter() - began
    assert took, "no token came"
    assert sources == [f"{name}.txt"]
    return Heard(took, cached_tokens)


def chance(times: Sequence[float], others: Sequence[float], generator: np.random.Generator) -> float:
    """How often two times of each round, dealt out at random, are as far apart as these.

    A two-sided permutation test of signed ranks. The logarithm takes out how busy the machine was in a round.
    """
    given = np.log(np.asarray(others) / np.asarray(times))
    ranks = np.argsort(np.argsort(np.abs(given))) + 1
    seen = abs(float(np.sign(given) @ ranks))
    dealt = generator.choice((-1, 1), (SHUFFLES, len(ranks))) @ ranks
    return float(np.count_nonzero(np.abs(dealt) >= seen) + 1) / (SHUFFLES + 1)


def test_what_another_has_asked_comes_no_sooner_and_what_oneself_has_asked_does(tmp_path: Path) -> None:
    generator, provider = Random(1), Provider()
    about = names(generator)
    papers = write_papers(tmp_path / "papers", generator, about)
    jwks = provider.publish(tmp_path / "jwks.json")
    flags = ["--oidc-issuer", ISSUER, "--oidc-audience", AUDIENCE, "--oidc-jwks-file", str(jwks)]
    heard: dict[str, list[Heard]] = {"nobody": [], "another": [], "oneself": []}
    with serving(tmp_path, BUNDLED_MODEL, [*flags, "--default-store", "desks"]) as served:
        assert served.command("ingest", str(papers), "--store", "desks").returncode == 0
        assert served.command("share", "desks", "--read", "*").returncode == 0
        made = served.command("keys", "create", "--principal", "user:portal", "--role", "ask", "--role", "act-for")
        with openai.OpenAI(base_url=f"{served.url}/v1", api_key=made.stdout.strip(), max_retries=0) as client:
            for nobodys, others, own in zip(*[iter(about)] * 3, strict=True):
                before = [("anna", others), ("bea", own)]
                after = [("nobody", nobodys), ("another", others), ("oneself", own)]
                generator.shuffle(before)
                generator.shuffle(after)
                for person, name in before:
                    ask(client, provider.token(person), name)
                for whose, name in after:
                    heard[whose].append(ask(client, provider.token("bea"), name))

    times = {whose: [one.first_s for one in answers] for whose, answers in heard.items()}
    drawing = np.random.default_rng(1)
    p = {whose: chance(times[whose], times["nobody"], drawing) for whose in ("another", "oneself")}
    print(
        f"\n{ROUNDS} rounds, median to the first token: asked by nobody {median(times['nobody']) * 1e3:.0f} ms", end=""
    )
    for whose, value in p.items():
        sooner = sum(time < other for time, other in zip(times[whose], times["nobody"], strict=True))
        print(f"; by {whose} {median(times[whose]) * 1e3:.0f} ms, sooner in {sooner}, p = {value:.5f}", end="")
    assert {one.cached_tokens for whose in ("nobody", "another") for one in heard[whose]} == {0}
    assert min(one.cached_tokens for one in heard["oneself"]) > 0
    assert median(times["oneself"]) < median(times["nobody"])
    assert p["oneself"] < 0.001, "a difference that is there has to be seen, or this test says nothing"
    assert p["another"] > 0.001
