"""Callers: the names they read under, and the roles they need."""

from dataclasses import replace

import pytest

from retrieval.types import Access, Reader
from server.identity import Caller, Forbidden, Limits


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


ANN = Caller("user:ann", frozenset({"group:a"}), frozenset({"ask", "ingest"}))
PORTAL = Caller(
    "user:portal", roles=frozenset({"ask", "act-for"}), key_id="key_1", limits=Limits(max_tokens=9), grounded_only=True
)


def test_behind_an_application_a_person_has_the_rights_of_both_alone() -> None:
    caller = ANN.behind(PORTAL)

    assert (caller.principal, caller.groups, caller.key_id) == ("user:ann", ANN.groups, "key_1")
    assert caller.roles == {"ask"}
    assert caller.limits == PORTAL.limits
    assert caller.grounded_only
    assert caller.reader() == replace(ANN.reader(), through=PORTAL.reader())


def test_an_admin_behind_an_application_is_no_more_than_the_application() -> None:
    root = Caller("user:root", roles=frozenset({"admin"}))

    assert root.behind(PORTAL).roles == {"ask"}
    assert not root.behind(PORTAL).reader().is_admin
    assert ANN.behind(replace(PORTAL, roles=frozenset({"admin", "act-for"}))).roles == ANN.roles
    assert root.behind(replace(PORTAL, roles=frozenset({"admin", "act-for"}))).roles == {"admin"}


def test_prompts_are_kept_apart_by_every_right_of_a_person_and_of_the_application() -> None:
    other = replace(PORTAL, principal="user:other")
    limited = replace(PORTAL, allowed_stores=frozenset({"handbook"}))
    callers = [
        ANN,
        ANN.behind(PORTAL),
        ANN.behind(other),
        ANN.behind(limited),
        PORTAL,
        Caller("user:ben").behind(PORTAL),
        replace(ANN, allowed_stores=frozenset({"handbook"})),
        replace(ANN, allowed_stores=frozenset()),
        replace(ANN, roles=frozenset({"admin"})),
    ]

    assert len({caller.partition() for caller in callers}) == len(callers)
    assert ANN.behind(PORTAL).partition() == ANN.behind(replace(PORTAL, key_id="key_2")).partition()


def test_a_model_must_be_open_to_the_person_and_to_the_application() -> None:
    limited = replace(ANN, allowed_models=frozenset({"m@a", "n"}))

    assert [name for name in ("m", "m@a", "m@b", "n", "n@a", "x") if limited.may_ask(name)] == ["m@a", "n", "n@a"]
    assert [
        name for name in ("m@a", "n") if limited.behind(replace(PORTAL, allowed_models=frozenset({"n"}))).may_ask(name)
    ] == ["n"]
    assert ANN.may_ask("anything")


def test_what_a_person_makes_through_an_application_begins_as_that_of_both() -> None:
    assert ANN.default_access() is None
    assert ANN.behind(PORTAL).default_access() == Access(("user:ann", "user:portal"), ("user:ann", "user:portal"))
