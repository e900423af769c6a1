"""Which kind of thing a short answer has to hold: a count, a time, or somebody."""

import pytest

from server.grounding.support import Sources
from tests.fakes.meaning import apart

CAMP = (
    "Cabin guests pay 12 pounds for two towels per stay. The sauna opens at dusk. Guests of the north cabin ring the "
    "warden twice a day. Small children swim free of charge."
)


def is_answer(claim: str, question: str) -> bool:
    return bool(Sources([CAMP], question, apart).find(claim).supports)


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("How many towels do cabin guests get per stay?", "two towels", "per stay"),
        ("How much do cabin guests pay for towels?", "12 pounds", "cabin guests"),
        ("How many pounds do cabin guests pay?", "12 pounds", "per stay"),
        ("How much do small children pay to swim?", "free of charge", "small children"),
        ("When does the sauna open?", "at dusk", "the sauna"),
        ("When does the sauna open?", "dusk", "sauna opens"),
        ("Who rings the warden?", "guests of the north cabin", "twice"),
    ],
)
def test_an_answer_holds_the_kind_of_thing_that_was_asked_for(question: str, right: str, wrong: str) -> None:
    assert is_answer(right, question)
    assert not is_answer(wrong, question)
