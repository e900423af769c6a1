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


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The library is closed on Sundays.", "The library does not open on Sundays."),
        ("The library is not open on Sundays.", "The library is closed on Sundays."),
        ("A second reminder letter is not sent.", "There will be no second reminder letter."),
        ("No deposit is charged.", "A deposit is not charged."),
        ("Candles are not allowed in the tents.", "No, candles are prohibited in the tents."),
        ("Dogs may swim in the lake.", "Yes, dogs may swim in the lake."),
        ("Campers may not light fires.", "No, campers must not light fires."),
        ("Smoking of fish is forbidden.", "It is not allowed to smoke fish."),
        ("Seeds are sent free of charge within 9 days.", "Seeds are sent within 9 days at no cost."),
    ],
)
def test_a_denial_may_be_worded_otherwise(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The library is open on Sundays.", "The library does not open on Sundays."),
        ("The library is closed on Sundays.", "The library is open on Sundays."),
        ("Staff with a car do not get a ticket.", "Staff with no car get a ticket."),
        ("Members who do not smoke pay less.", "Members who smoke do not pay less."),
        ("A second reminder letter is sent.", "There will be no second reminder letter."),
        ("Dogs may swim in the lake.", "No, dogs may not swim in the lake."),
    ],
)
def test_what_is_denied_is_not_what_is_said(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is not None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("Small claims are paid in a week, large claims within 30 days.", "Small claims are paid within 30 days."),
        ("Open wounds are dressed at once, closed wounds within an hour.", "Open wounds are dressed within an hour."),
        ("Tags are required for bags and recommended for coats.", "Tags are recommended for bags."),
        ("Boots with steel caps are forbidden on deck.", "Boots are forbidden on deck."),
        ("Drivers who carry fuel must stop here.", "Drivers must stop here."),
        ("Boats may moor here if the flag is green.", "Boats may moor here."),
        ("Pupils may stay if they are watched by a parent.", "Parents may stay if they are watched by a pupil."),
        ("Ada Brink signs leases; Jon Peel signs orders.", "Jon Peel signs leases."),
        ("Carts must not be left in the yard but may be parked in the shed.", "Carts must not be parked in the shed."),
        ("Owners pay for small repairs in the flat.", "Owners pay for all repairs in the flat."),
        ("Wages are paid on the third working day.", "Wages are paid on the third day."),
        ("Guests in the upper hall may eat.", "Guests in the lower hall may eat."),
    ],
)
def test_what_is_said_of_one_of_two_is_not_said_of_the_other(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is not None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("Leaks must be reported at once.", "Leaks must be reported immediately."),
        ("Volunteers look after the animals.", "Animals are cared for by volunteers."),
        ("Borrowed tools must be brought back on Monday.", "Borrowed tools must be returned on Monday."),
        ("Bags must be left at the desk.", "Bags have to be handed in at the desk."),
        ("Students enter the garden free of charge.", "Students enter the garden for nothing."),
        ("The guided tour is free of charge.", "The guided tour costs nothing."),
        ("Riders may be no older than 14.", "Riders may not be older than fourteen."),
        ("Seats are free up to two hours before departure.", "Seats are free at least 2 hours before departure."),
        ("Up to 5 days can be carried over to March.", "At most five days can be carried over to March."),
        ("Lost badge: 15 euros", "A lost badge costs 15 euros."),
        ("Hard hats are compulsory on the roof.", "You must wear hard hats on the roof."),
        ("Boxes must be sealed when they are full.", "Boxes must be sealed once they are full."),
        ("Rooms are let for a month and the rent is paid monthly.", "The rent is paid monthly."),
        ("The registration of guests ends at noon.", "Registering guests ends at noon."),
    ],
)
def test_words_that_mean_the_same_stand_for_each_other(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The guided tour is free of charge.", "The guided tour costs 4 euros."),
        ("Riders may be no older than 14.", "Riders may be older than 14."),
        ("Deposit for a badge: 15 euros", "A badge costs 15 euros."),
        ("Seats are free up to an hour before noon.", "Seats are free at most an hour before noon."),
        ("Seats are kept for up to two hours.", "Seats are kept for at least two hours."),
    ],
)
def test_a_bound_or_a_price_is_not_taken_for_another(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is not None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The machine prints a receipt after each sale.", "A receipt is printed after each sale."),
        ("By default, the pump starts a cycle at 3:00.", "By default a cycle is started at 3 a.m."),
        ("The password can be changed under Account.", "You can change the password under Account."),
        ("You can move the booking on the website.", "The booking can be moved on the website."),
        ("Tenants need the consent of the owner.", "Tenants need the owner's consent."),
        ("Members must not sell tickets from sponsors.", "Members must not sell sponsor tickets."),
    ],
)
def test_a_sentence_may_be_turned_into_the_passive(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The tenant informs the landlord in May.", "The tenant is informed by the landlord in May."),
        ("The guide pays the driver 30 euros.", "The driver pays the guide 30 euros."),
        ("The dog of the neighbour barks.", "The neighbour of the dog barks."),
    ],
)
def test_who_does_it_does_not_change(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is not None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The steward may halt the race to allow a check.", "The steward must halt the race to allow a check."),
        ("Ropes that can no longer be mended must be burnt.", "Ropes that can no longer be mended may be burnt."),
        ("Paint should not be kept in the loft.", "Paint must never be kept in the loft."),
    ],
)
def test_each_deed_keeps_the_duty_or_the_choice_that_is_its_own(passage: str, claim: str) -> None:
    assert doubt(passage, claim) == "modal"


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        (
            "Boats in Norvik have sails, whereas in Halm the crew rows.",
            "Boats in Halm have sails, whereas in Norvik the crew rows.",
        ),
        ("Floods above 40 cm must be reported within 6 hours.", "Floods must be reported within 6 hours."),
        ("The key erases the first line with the given word.", "The key erases all lines with the given word."),
        ("The heater is switched off at delivery.", "The heater is switched on at delivery."),
        (
            "Fires are welcome on the beach but are forbidden in the dunes and on the pier.",
            "Fires are welcome on the pier.",
        ),
        (
            "The tool peel strips the list. The tool core leaves the list as it is and returns a copy.",
            "The tool peel leaves the list as it is and returns a copy.",
        ),
    ],
)
def test_one_word_changed_or_exchanged_makes_another_statement(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is not None


@pytest.mark.parametrize(
    ("passage", "claim"),
    [
        ("The pump is checked in May. On Sundays it rests until noon.", "On Sundays the pump rests until noon."),
        ("The form is sent by post. You may return it by Friday.", "You may return the form by Friday."),
    ],
)
def test_a_pronoun_near_the_beginning_is_for_what_the_sentence_before_names(passage: str, claim: str) -> None:
    assert doubt(passage, claim) is None
