"""server.grounding.support: statements that no rule finds a source for are put to the embedder, and nothing else is."""

from collections.abc import Sequence

import pytest

from retrieval.claim import Claim
from retrieval.embedder import MiniLM
from server.grounding.likeness import Likeness
from server.grounding.support import LIKELY, Finding, Sources
from tests.fakes.meaning import apart

PARCELS = (
    "Parcels are carried on weekdays. The sender is liable for damage caused by inadequate packaging. "
    "Claims cost 9 euros."
)
QUESTION = "Who pays when the box was too thin?"


class Asked:
    """Gives the same answer each time, and notes what it was asked."""

    def __init__(self, likelihood: float) -> None:
        self.claims: list[Claim] = []
        self._likelihood = likelihood

    def __call__(self, claims: Sequence[Claim]) -> list[float]:
        self.claims += claims
        return [self._likelihood + (0.01 if "liable" in claim.source else 0) for claim in claims]


def found(answer: str, asked: Asked, question: str = QUESTION) -> Finding:
    return Sources([PARCELS], question, apart, ["Parcels"], asked).find(answer)


def test_a_statement_that_no_rule_finds_is_what_the_likeliest_sentence_says() -> None:
    asked = Asked(LIKELY)

    finding = found("Poor wrapping is a matter for whoever posts it.", asked)

    (support,) = finding.supports
    assert (finding.match, PARCELS[support.start : support.end]) == (
        "entailed",
        "The sender is liable for damage caused by inadequate packaging.",
    )
    source = next(claim for claim in asked.claims if "liable" in claim.source)
    assert (source.title, source.before) == ("Parcels", "Parcels are carried on weekdays.")


def test_what_is_not_likely_enough_has_no_source() -> None:
    assert found("Poor wrapping is a matter for whoever posts it.", Asked(LIKELY - 0.02)).supports == ()


def test_sentences_with_other_values_are_not_asked_about() -> None:
    asked = Asked(1.0)

    finding = found("Asking for money back takes 9 euros from whoever posts it.", asked)

    assert finding.match == "entailed"
    assert [claim.source for claim in asked.claims] == ["Claims cost 9 euros."]


@pytest.mark.parametrize("answer", ["9 euros", "Claims cost 9 euros.", "Yes."])
def test_short_answers_and_what_rules_find_are_not_asked_about(answer: str) -> None:
    asked = Asked(1.0)

    assert found(answer, asked, "What do claims cost?").match != "entailed"
    assert asked.claims == []


def test_the_real_embedder_finds_a_free_paraphrase_and_not_its_opposite(embedder: MiniLM) -> None:
    likeness = Likeness(lambda: embedder)
    sources = Sources([PARCELS], QUESTION, likeness, ["Parcels"], likeness.entailed)

    assert sources.find("Damage that results from poor packaging is the sender's responsibility.").match == "entailed"
    assert sources.find("The railway pays for a box that was too thin.").supports == ()
