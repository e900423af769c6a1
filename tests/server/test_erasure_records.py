"""server.erasure_records: who may learn that a file was erased, and what one ledger takes over from another."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import apsw
import pytest

from retrieval.erasure import Gone, Taken
from retrieval.types import EVERYONE, Reader
from server.certificates import Proof
from server.erasure_records import ErasureRecord
from server.ledger import MIGRATIONS, Ledger

SALT = "00ff"


def hashed(name: str) -> str:
    return sha256(bytes.fromhex(SALT) + name.encode()).hexdigest()


RECORD = ErasureRecord(
    "erasure_1", "file-1", True, "user:ann", "user:ben", "deleted", 1, None, SALT, (hashed("group:claims"),)
)

CERTIFIED = replace(RECORD, proof=Proof("{}", "c2ln", "key_1", '{"held": 1}', "aGVsZA=="))
KEYS = {"key_1": "PEM"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.db")
    yield opened
    opened.close()


def reader(*names: str, **limits: object) -> Reader:
    return Reader(frozenset({*names, EVERYONE}), **limits)  # type: ignore[arg-type]  # one of the fields each


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (reader("user:ann"), True),
        (reader("user:ben"), True),
        (reader("user:eve", "group:claims"), True),
        (reader("user:root", is_admin=True), True),
        (reader("user:eve", "group:board"), False),
        (reader(hashed("group:claims")), False),
        (reader("user:ann", stores=frozenset({"vs_1"})), False),
        (reader("user:ann", through=reader("user:app", "group:claims")), True),
        (reader("user:ann", through=reader("user:app")), False),
    ],
)
def test_only_who_knew_of_the_file_does(who: Reader, may: bool) -> None:
    assert RECORD.may_know(who) is may


@pytest.mark.parametrize(
    ("who", "stores"),
    [
        (reader("user:ann"), ("vs_2",)),
        (reader("user:ben", "group:claims"), ("vs_1", "vs_2")),
        (reader("user:ben", through=reader("user:app")), ("vs_2",)),
        (reader("user:ben", "group:claims", through=reader("user:app")), ("vs_2",)),
        (reader("user:root", is_admin=True), ("vs_1", "vs_2", "vs_3")),
        (reader("user:root", is_admin=True, through=reader("user:app")), ("vs_2",)),
    ],
)
def test_of_the_stores_that_held_it_one_learns_which_one_could_read(who: Reader, stores: tuple[str, ...]) -> None:
    names = ((hashed("group:claims"),), (hashed("*"),))
    record = replace(RECORD, store_ids=("vs_1", "vs_2", "vs_3"), store_readers=names)

    assert record.stores_known_to(who) == stores, "of the third it is not known who could"


def test_an_empty_ledger_takes_over_everything(ledger: Ledger) -> None:
    waiting = replace(RECORD, erasure_id="erasure_2")
    ledger.erasures.adopt([CERTIFIED, waiting], KEYS, 5)

    assert list(ledger.erasures.listing()) == [CERTIFIED, waiting]
    assert ledger.erasures.public_keys() == KEYS


def test_a_certificate_that_this_ledger_has_not_seen_is_taken_over(ledger: Ledger) -> None:
    ledger.erasures.adopt([RECORD], {}, 5)
    ledger.erasures.adopt([CERTIFIED], KEYS, 6)

    assert list(ledger.erasures.listing()) == [CERTIFIED]
    assert ledger.erasures.waiting() == 0


def test_what_this_ledger_knows_itself_is_not_overwritten(ledger: Ledger) -> None:
    ledger.erasures.adopt([CERTIFIED], KEYS, 5)
    other = replace(CERTIFIED, owner="user:eve", proof=Proof('{"other": 1}', "b3RoZXI=", "key_2", None, None))
    ledger.erasures.adopt([other, replace(RECORD, reason="expired")], {"key_1": "another PEM"}, 6)

    assert list(ledger.erasures.listing()) == [CERTIFIED]
    assert ledger.erasures.public_keys() == KEYS


def test_what_may_not_come_back_are_files_removed_and_files_taken_out_but_not_what_was_read_anew(
    ledger: Ledger,
) -> None:
    taken = replace(
        RECORD, erasure_id="erasure_2", file_id="file-2", is_whole=False, store_ids=("vs_1",), requested_at=7
    )
    read_anew = replace(taken, erasure_id="erasure_3", file_id="file-3", reason="replaced")
    ledger.erasures.adopt([RECORD, taken, read_anew], {}, 5)

    assert ledger.erasures.gone() == Gone({"file-1": "user:ben"}, [Taken("file-2", ("vs_1",), "user:ben", 7)])


def test_certificates_of_older_ledgers_tell_which_stores_a_file_was_taken_out_of(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    older = Ledger(path, migrations=MIGRATIONS[:4])
    older.close()
    with closing(apsw.Connection(str(path))) as db:
        row = ("erasure_1", "file-1", 0, "user:ann", "user:ben", "deleted", 7, '{"vector_store_ids": ["vs_1"]}', "c2ln")
        db.execute(
            "INSERT INTO erasures"
            " (id, file_id, is_whole, owner, requested_by, reason, requested_at, certificate, signature)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )

    with closing(Ledger(path)) as brought:
        assert brought.erasures.gone().taken == [Taken("file-1", ("vs_1",), "user:ben", 7)]
