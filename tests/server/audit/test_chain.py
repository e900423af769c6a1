"""server.audit.chain: whatever is done to a chain, the first record that does not hold is named."""

from dataclasses import replace
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audit.chain import Broken, Entry, Head, link, verify
from server.signing import Signer, canonical

SIGNER = Signer(Ed25519PrivateKey.generate())
LENGTH = 9


def chain(length: int = LENGTH, signer: Signer = SIGNER) -> list[Entry]:
    head, entries = Head(), list[Entry]()
    for number in range(length):
        entries.append(link(head, canonical({"what": f"ü {number}", "request": "r"}), signer))
        head = Head(entries[-1].number, entries[-1].hash)
    return entries


CHAIN = chain()


def broken_at(entries: list[Entry], *heads: Head) -> int:
    with pytest.raises(Broken) as refusal:
        verify(entries, [SIGNER.public_key], expected=heads)
    return refusal.value.number


def test_a_whole_chain_holds_and_says_where_it_ends() -> None:
    assert verify(CHAIN, [SIGNER.public_key]) == Head(LENGTH, CHAIN[-1].hash)
    assert verify([], [SIGNER.public_key]) == Head()


@settings(max_examples=150, deadline=None)
@given(index=st.integers(0, LENGTH - 1), part=st.sampled_from(["record", "hash", "signature"]), data=st.data())
def test_any_flipped_bit_is_found_in_its_record(index: int, part: str, data: st.DataObject) -> None:
    entry = CHAIN[index]
    value = entry.record.encode() if part == "record" else cast(bytes, getattr(entry, part))
    place = data.draw(st.integers(0, len(value) - 1))
    flipped = bytearray(value)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    new = bytes(flipped)
    match part:
        case "record":
            changed = replace(entry, record=new.decode("utf-8", "surrogateescape"))
        case "hash":
            changed = replace(entry, hash=new)
        case _:
            changed = replace(entry, signature=new)

    assert broken_at([*CHAIN[:index], changed, *CHAIN[index + 1 :]]) == index + 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1))
def test_records_that_change_places_are_found_even_with_their_numbers(first: int, second: int) -> None:
    if first == second:
        return
    first, second = sorted((first, second))
    entries = list(CHAIN)
    entries[first] = replace(CHAIN[second], number=first + 1)
    entries[second] = replace(CHAIN[first], number=second + 1)

    assert broken_at(entries) == first + 1


@pytest.mark.parametrize("index", range(LENGTH - 1))
@pytest.mark.parametrize("renumber", [False, True])
def test_a_record_that_was_removed_is_found(index: int, renumber: bool) -> None:
    entries = CHAIN[:index] + CHAIN[index + 1 :]
    if renumber:
        entries = [replace(entry, number=number) for number, entry in enumerate(entries, 1)]

    assert broken_at(entries) == index + 1


def test_records_cut_off_at_the_end_are_found_with_an_earlier_head() -> None:
    head = Head(7, CHAIN[6].hash)

    assert verify(CHAIN, [SIGNER.public_key], expected=[head]).number == LENGTH
    assert broken_at(CHAIN[:5], head) == 6


def test_a_chain_goes_on_under_a_new_key_where_both_are_known() -> None:
    other = Signer(Ed25519PrivateKey.generate())
    later = link(Head(LENGTH, CHAIN[-1].hash), canonical({"what": "later"}), other)

    assert verify([*CHAIN, later], [other.public_key, SIGNER.public_key]).number == LENGTH + 1
    assert broken_at([*CHAIN, later]) == LENGTH + 1


def test_a_chain_written_anew_is_found_with_an_earlier_head_or_by_its_key() -> None:
    anew = chain(LENGTH, SIGNER)
    other = link(Head(2, anew[1].hash), canonical({"what": "something else"}), SIGNER)

    assert broken_at([*anew[:2], other], Head(3, CHAIN[2].hash)) == 3
    assert broken_at(chain(LENGTH, Signer(Ed25519PrivateKey.generate()))) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_every_earlier_head_counts_though_a_forged_one_has_the_same_number(order: int) -> None:
    last, forged = CHAIN[-1], link(Head(LENGTH - 1, CHAIN[-2].hash), canonical({"what": "something else"}), SIGNER)
    heads = [Head(LENGTH, last.hash), Head(LENGTH, forged.hash)][::order]

    assert broken_at([*CHAIN[:-1], forged], *heads) == LENGTH
    assert broken_at(CHAIN, *heads) == LENGTH
    assert verify(CHAIN, [SIGNER.public_key], expected=[Head(LENGTH, last.hash)] * 2).number == LENGTH
