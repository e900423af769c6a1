"""Whether a sentence says a claim in other words: modals, denials, and who does what."""

import pytest

from server.grounding.support import Sources
from tests.fakes.meaning import apart


def doubt(passage: str, claim: str) -> str | None:
    """Why the passage does not say the claim; None where it does."""
    finding = Sources([passage], "What does it say?", apart).find(claim)
    return None if finding.supports else finding.reason


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("Lockers must be emptied in the evening.", "Lockers have to be emptied in the evening."),
        ("A helmet must be worn on the site.", "On the site, a helmet is to be worn."),
        ("Keys are to be returned on Friday.", "Keys must be returned on Friday."),
        ("Trainees do not have to pay a deposit.", "Trainees are exempt from paying a deposit."),
        ("Trainees need not pay a deposit.", "Trainees are not obliged to pay a deposit."),
        ("Guests may not use the lift.", "Guests must not use the lift."),
        ("Members pay 20 euros and may bring a guest.", "Members pay 20 euros."),
    ],
)
def test_two_ways_to_oblige_or_to_forbid_say_the_same(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("Visitors should wear a badge.", "Visitors must wear a badge."),
        ("Visitors should wear a badge.", "Visitors have to wear a badge."),
        ("Visitors should wear a badge.", "Visitors are obliged to wear a badge."),
        ("Visitors should wear a badge.", "Visitors wear a badge."),
        ("Visitors must wear a badge.", "Visitors should wear a badge."),
        ("Visitors must wear a badge.", "Visitors may wear a badge."),
        ("Guests may store bicycles in the yard.", "Guests store bicycles in the yard."),
        ("Guests must not use the lift.", "Guests do not have to use the lift."),
        ("Guests need not use the lift.", "Guests may not use the lift."),
    ],
)
def test_advice_a_duty_and_a_permission_are_three_things(passage: str, claim: str) -> None:
    assert doubt(passage, claim) == "modal"
