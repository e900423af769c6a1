"""How a passage is cut: into sentences, and lists of "name: value" into their lines."""

import pytest

from server.grounding.statements import statements


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Base fee: 9 euros\nDeposit: 40 euros", ["Base fee: 9 euros", "Deposit: 40 euros"]),
        (
            "Weekday price (Monday to Thursday, until 5 p.m.): 12 euros a head\nWeekend price: 15 euros",
            ["Weekday price (Monday to Thursday, until 5 p.m.): 12 euros a head", "Weekend price: 15 euros"],
        ),
        (
            "Whoever wants to borrow a projector from the desk\nmust bring: a card and a form.",
            ["Whoever wants to borrow a projector from the desk\nmust bring: a card and a form."],
        ),
        ("It opens at nine. It closes at five.", ["It opens at nine.", "It closes at five."]),
    ],
)
def test_each_line_of_a_list_is_a_statement(text: str, parts: list[str]) -> None:
    assert [text[place.start : place.end] for place in statements(text)] == parts
