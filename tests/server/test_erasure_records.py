"""server.erasure_records: who may learn that a file was erased."""

from hashlib import sha256

import pytest

from retrieval.types import EVERYONE, Reader
from server.erasure_records import ErasureRecord

SALT = "00ff"


def hashed(name: str) -> str:
    return sha256(bytes.fromhex(SALT) + name.encode()).hexdigest()


RECORD = ErasureRecord(
    "erasure_1", "file-1", True, "user:ann", "user:ben", "deleted", 1, None, None, None, SALT, (hashed("group:claims"),)
)


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
