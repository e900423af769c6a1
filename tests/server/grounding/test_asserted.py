"""Statements that stand in a passage without being made there: denied, doubted, or made to depend on something."""

import pytest

from server.grounding.support import Sources
from tests.fakes.meaning import apart


def reason(passage: str, claim: str, question: str = "What does it say?") -> str | None:
    """Why the passage does not say the claim, though the embedder takes it for saying so; None where it does."""
    sources = Sources([passage], question, apart, entailed=lambda claims: [1.0] * len(claims))
    finding = sources.find(claim)
    return None if finding.supports else finding.reason


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("It is untrue that the cellar has been flooded.", "The cellar has been flooded."),
        ("The skipper denies that the mast is cracked.", "The mast is cracked."),
        ("There is little evidence that the seeds are old.", "The seeds are old."),
        ("There are rumours that the ferry is for sale.", "The ferry is for sale."),
        ("Rumour has it that the ferry is for sale.", "The ferry is for sale."),
        ("Contrary to the notice that the lift is broken, it runs.", "The lift is broken."),
        ("It is uncertain whether the bridge is safe.", "The bridge is safe."),
        ("The witness doubts that the lamp was lit.", "The lamp was lit."),
        ("The lamp was allegedly lit by the porter.", "The lamp was lit by the porter."),
        ("That the well is dry is a myth.", "The well is dry."),
        ("The well is dry, but this is wrong.", "The well is dry."),
        ("The leaflet does not say that the pool is heated.", "The pool is heated."),
        ("No study has shown that the herb is harmful.", "The herb is harmful."),
    ],
)
def test_what_a_sentence_denies_or_doubts_it_does_not_say(passage: str, claim: str) -> None:
    assert reason(passage, claim) == "denial"


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("Contrary to rumours, the ferry is for sale.", "The ferry is for sale."),
        ("The report shows that the cellar has been flooded.", "The cellar has been flooded."),
        ("It is untrue that the well is dry, but the pump is broken.", "The pump is broken."),
        ("The skipper denies that the mast is cracked.", "The skipper denies that the mast is cracked."),
        ("Guests decide whether they eat at seven.", "Guests decide whether they eat at seven."),
    ],
)
def test_what_stands_beside_a_denial_is_said(passage: str, claim: str) -> None:
    assert reason(passage, claim) is None


def test_what_somebody_denies_may_be_asked_for() -> None:
    passage = "The skipper denied that the tour cost 90 pounds."

    assert reason(passage, "90 pounds", "How many pounds did the skipper deny that the tour cost?") is None
    assert reason(passage, "90 pounds", "How many pounds did the tour cost?") is not None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("If the lease ends early, the owner may keep 90 pounds of it.", "The owner may keep 90 pounds of it."),
        ("Unless a parent objects, the school may print the photograph.", "The school may print the photograph."),
        ("Provided that the river is low, the ford may be used by carts.", "The ford may be used by carts."),
        ("The ford may be used by carts as long as the river is low.", "The ford may be used by carts."),
        ("In the event of fire, the gates are opened by the porter.", "The gates are opened by the porter."),
    ],
)
def test_a_condition_that_is_left_out_makes_another_statement(passage: str, claim: str) -> None:
    assert reason(passage, claim) == "condition"


@pytest.mark.parametrize(
    ("passage", "claim", "question"),
    [
        (
            "If the lease ends early, the owner may keep 90 pounds of it.",
            "If the lease ends early, the owner may keep 90 pounds of it.",
            "What does it say?",
        ),
        (
            "If the lease ends early, the owner may keep 90 pounds of it.",
            "The owner may keep 90 pounds of it.",
            "What is kept when a lease ends early?",
        ),
        (
            "Even if it rains, the owner may keep 90 pounds of it.",
            "The owner may keep 90 pounds of it.",
            "What is kept?",
        ),
        (
            "If it rains, stay in; the owner may keep 90 pounds of it.",
            "The owner may keep 90 pounds of it.",
            "What is kept?",
        ),
    ],
)
def test_a_condition_may_stand_in_the_question_or_not_be_one(passage: str, claim: str, question: str) -> None:
    assert reason(passage, claim, question) is None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The toll went up from 4 pounds to 6 pounds.", "The toll went up from 6 pounds to 4 pounds."),
        ("The canal leads from Arden to Brill.", "The canal leads from Brill to Arden."),
        ("Mrs Dale sold 12 sheep to Mr Finch.", "Mr Finch sold 12 sheep to Mrs Dale."),
        ("Mrs Dale sold 12 sheep to Mr Finch.", "Mr Finch let 12 sheep go to Mrs Dale."),
        ("Nora Dale taught Hugh Finch in 12 lessons.", "Hugh Finch taught Nora Dale in 12 lessons."),
    ],
)
def test_two_that_change_places_are_not_put_to_the_embedder(passage: str, claim: str) -> None:
    assert reason(passage, claim) in ("order", "words")
