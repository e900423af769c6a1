"""Callers: the names they read under, and the roles they need."""

import pytest

from retrieval.types import Reader
from server.identity import Caller, Forbidden


def test_a_caller_reads_as_itself_its_groups_and_everyone() -> None:
    caller = Caller("user:ann", frozenset({"group:a"}), frozenset({"ask"}))

    assert caller.reader() == Reader(frozenset({"user:ann", "group:a", "*"}), is_admin=False)
    assert Caller("user:root", roles=frozenset({"admin"})).reader().is_admin


def test_prompts_are_found_again_by_the_same_person_with_the_same_rights_alone() -> None:
    ann = Caller("user:ann", frozenset({"group:a", "group:b"}))

    assert ann.partition() == Caller("user:ann", frozenset({"group:b", "group:a"}), key_id="another").partition()
    others = (Caller("user:ann"), Caller("user:ann", frozenset({"group:a"})), Caller("user:bob", ann.groups))
    assert ann.partition() not in {other.partition() for other in others}


def test_any_of_the_roles_will_do_and_an_admin_has_them_all() -> None:
    Caller("user:ann", roles=frozenset({"ask"})).require("ask", "ingest")
    Caller("user:root", roles=frozenset({"admin"})).require("metrics")

    with pytest.raises(Forbidden) as caught:
        Caller("user:ann", roles=frozenset({"ask"})).require("ingest", "metrics")
    assert caught.value.needed == "ingest or metrics"
