"""Whether a short answer is about what was asked, where its sentence or the next line has another of the same kind."""

import pytest

from retrieval.embedder import MiniLM
from server.grounding.likeness import Likeness
from server.grounding.support import Sources

TARIFFS = (
    "Charges\nPeak rate (weekdays from 8 a.m. until 9 p.m.): 31 cents per kWh\n"
    "Reduced rate (the remaining hours of the day): 19 cents per kWh\nMetering: 4.20 euros per month\nPhases: 3"
)
FEES = "Fees\nCrate of 12 bottles: 18 euros\nCrate of 24 bottles: 33 euros\nRefund: 2 euros"
COURSE = "Forms for the spring course arrive by 2 March, those for the autumn course by 1 September."
TOUR = "The tour costs 11 euros, or 7 euros for children and retired people."
FERRY = "Passengers on the Coastal Line may bring up to 20 kg. On the Island Line it is up to 35 kg."
CABINETS = (
    "Paints are kept in the green cupboard, glues in the grey cupboard. "
    "Floors are cleaned on Mondays and brushes on Fridays."
)
DUTIES = (
    "The treasurer, Ada Brink, signs leases; the clerk, Jon Peel, signs orders up to 900 euros. "
    "Orders above 900 euros are signed by the mayor."
)
HALL = (
    "The hall costs members 40 euros. For non-members the hall costs 75 euros.\n\n"
    "Single booth: 9 euros\nDouble booth: 16 euros"
)
PLANS = "The basic plan has three seats, the premium plan seven."
DINNER = "Dinner costs 8 euros and must be booked by Friday of the week before. Bookings are cancelled by Tuesday."


def is_answer(passage: str, question: str, answer: str, embedder: MiniLM) -> bool:
    return bool(Sources([passage], question, Likeness(lambda: embedder)).find(answer).supports)


@pytest.mark.parametrize(
    ("passage", "question", "right", "wrong"),
    [
        (TARIFFS, "How much is the reduced rate?", "19 cents per kWh", "31 cents per kWh"),
        (TARIFFS, "How much is metering?", "4.20 euros per month", "19 cents per kWh"),
        (TARIFFS, "How many phases are there?", "3", "31"),
        (FEES, "What does one pay for a crate of 12 bottles?", "18 euros", "33 euros"),
        (HALL, "What do non-members pay for the hall?", "75 euros", "40 euros"),
        (HALL, "What does a single booth cost?", "9 euros", "16 euros"),
        (FEES, "What does a crate of 24 bottles cost?", "33 euros", "18 euros"),
        (FEES, "What does a crate of 12 bottles cost?", "18 euros", "33 euros"),
        (COURSE, "By when must forms for the spring course arrive?", "by 2 March", "by 1 September"),
        (COURSE, "By when must forms for the autumn course arrive?", "1 September", "2 March"),
        (TOUR, "What do children pay for the tour?", "7 euros", "11 euros"),
        (TOUR, "What do retired people pay for the tour?", "7 euros", "11 euros"),
        (TOUR, "What does the tour cost?", "11 euros", "7 euros"),
        (FERRY, "How much may passengers on the Coastal Line bring?", "up to 20 kg", "up to 35 kg"),
        (PLANS, "How many seats does the basic plan have?", "three", "seven"),
        (PLANS, "How many seats does the premium plan have?", "seven", "three"),
        (CABINETS, "Where are paints kept?", "in the green cupboard", "in the grey cupboard"),
        (CABINETS, "When are brushes cleaned?", "on Fridays", "on Mondays"),
        (DUTIES, "Who signs leases?", "Ada Brink", "Jon Peel"),
        (DUTIES, "Who signs orders up to 900 euros?", "Jon Peel", "Ada Brink"),
        (DUTIES, "Who signs orders above 900 euros?", "the mayor", "Jon Peel"),
        (DINNER, "Until when is dinner booked?", "by Friday of the week before", "by Tuesday"),
    ],
)
def test_of_two_values_of_one_kind_the_asked_one_is_the_answer(
    passage: str, question: str, right: str, wrong: str, embedder: MiniLM
) -> None:
    assert is_answer(passage, question, right, embedder)
    assert not is_answer(passage, question, wrong, embedder)


def test_a_few_words_are_an_answer_only_to_what_their_sentence_is_about(embedder: MiniLM) -> None:
    passage = "Invoices up to 400 euros are approved by the head of the shop. Leases are approved by the board."

    assert is_answer(passage, "Who approves leases?", "the board", embedder)
    assert not is_answer(passage, "Who approves invoices up to 400 euros?", "the board", embedder)


def test_what_is_required_is_not_what_is_recommended(embedder: MiniLM) -> None:
    passage = "Tags are required for bags and recommended for coats."

    assert is_answer(passage, "For what are tags recommended?", "coats", embedder)
    assert not is_answer(passage, "For what are tags recommended?", "bags", embedder)


def test_a_word_that_the_question_lacks_is_taken_for_another_only_where_it_is_surely_the_same(embedder: MiniLM) -> None:
    passage, question = "Rowing classes are watched by a physician.", "Who watches rowing classes?"

    assert is_answer(passage, question, "Rowing classes are watched by a doctor.", embedder)
    assert not is_answer(passage, question, "Rowing classes are watched by a physiotherapist.", embedder)
