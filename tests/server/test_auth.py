"""Who is let in: by key, or as `user:local` while there is no key and nobody else can call."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.auth import LOCAL, Authentication, ExposedWithoutKey, check_exposure
from server.identity import Caller, IdentityUnavailable, Unauthenticated
from server.ledger import Ledger

pytestmark = pytest.mark.anyio


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture
def authenticate(ledger: Ledger) -> Authentication:
    return Authentication(ledger, is_loopback=True)


@pytest.mark.parametrize("header", [None, "Bearer anything", "Bearer ", "Basic eA=="])
async def test_without_any_key_everyone_on_this_machine_is_a_local_admin(
    authenticate: Authentication, header: str | None
) -> None:
    caller = await authenticate(header)

    assert caller == LOCAL
    assert caller.reader().is_admin
    assert caller.principal == "user:local"


async def test_keys_that_others_have_replaced_let_nobody_in(
    tmp_path: Path, ledger: Ledger, authenticate: Authentication
) -> None:
    _, secret = ledger.keys.create(principal="user:ann", groups=frozenset(), roles=frozenset({"ask"}))
    assert (await authenticate(f"Bearer {secret}")).principal == "user:ann"
    assert ledger.trouble() is None
    Ledger(tmp_path / "other.db").close()
    (tmp_path / "other.db").replace(tmp_path / "ledger.db")

    with pytest.raises(IdentityUnavailable):
        await authenticate(f"Bearer {secret}")
    assert not authenticate.is_open()
    assert "replaced or removed under this process" in (ledger.trouble() or "")


async def test_keys_that_cannot_be_read_any_more_let_nobody_in_and_are_trouble(tmp_path: Path, ledger: Ledger) -> None:
    _, secret = ledger.keys.create(principal="user:ann", groups=frozenset(), roles=frozenset({"ask"}))
    ledger.close()
    opened = Ledger(tmp_path / "ledger.db")
    with (tmp_path / "ledger.db").open("r+b") as file:  # in place, as a failing disk or a mistaken copy does
        file.seek(4096)
        file.write(b"\xff" * ((tmp_path / "ledger.db").stat().st_size - 4096))

    with pytest.raises(IdentityUnavailable):
        await Authentication(opened, is_loopback=True)(f"Bearer {secret}")
    assert "malformed" in (opened.trouble() or "")
    opened.close()


async def test_without_any_key_nobody_is_let_in_from_elsewhere(ledger: Ledger) -> None:
    exposed = Authentication(ledger, is_loopback=False)

    with pytest.raises(Unauthenticated):
        await exposed("Bearer anything")


async def test_the_first_key_closes_the_open_door_at_once(ledger: Ledger, authenticate: Authentication) -> None:
    assert await authenticate(None) == LOCAL

    key, secret = ledger.keys.create(principal="user:anna", roles=["ask"], groups=["group:hr"], grounded_only=True)

    with pytest.raises(Unauthenticated):
        await authenticate(None)
    caller = await authenticate(f"Bearer {secret}")
    assert (caller.principal, caller.key_id, caller.grounded_only) == ("user:anna", key.key_id, True)
    assert caller.roles == {"ask"}
    assert caller.groups == {"group:hr"}


async def test_the_scheme_is_read_as_http_reads_it(ledger: Ledger, authenticate: Authentication) -> None:
    _, secret = ledger.keys.create(principal="user:anna", roles=["ask"])

    assert (await authenticate(f"bearer  {secret} ")).principal == "user:anna"


async def test_every_way_of_being_wrong_looks_the_same(ledger: Ledger, authenticate: Authentication) -> None:
    revoked, closed = ledger.keys.create(principal="user:anna", roles=["ask"])
    _, secret = ledger.keys.create(principal="user:ben", roles=["ask"])
    ledger.keys.revoke(revoked.key_id)
    words = set()

    for header in (None, "", "Bearer", "Bearer hrm_unknown", f"Bearer {closed}", f"Basic {secret}", secret):
        with pytest.raises(Unauthenticated) as refusal:
            await authenticate(header)
        words.add(str(refusal.value))

    assert words == {""}


async def test_revoking_the_last_key_leaves_the_door_shut(ledger: Ledger, authenticate: Authentication) -> None:
    key, _ = ledger.keys.create(principal="user:anna", roles=["admin"])
    ledger.keys.revoke(key.key_id)

    with pytest.raises(Unauthenticated):
        await authenticate(None)


async def test_another_host_needs_a_key_or_a_provider_before_the_start(ledger: Ledger) -> None:
    async def tokens(token: str) -> Caller:
        raise Unauthenticated

    check_exposure(Authentication(ledger, is_loopback=True), host="127.0.0.1", is_loopback=True)
    exposed = Authentication(ledger, is_loopback=False)
    with pytest.raises(ExposedWithoutKey, match=r"(?s)not on 0\.0\.0\.0.*hrm-serve keys create") as refusal:
        check_exposure(exposed, host="0.0.0.0", is_loopback=False)
    assert "HRM_FIRST_KEY_FILE" in str(refusal.value)
    provided = Authentication(ledger, is_loopback=False, tokens=tokens)
    check_exposure(provided, host="0.0.0.0", is_loopback=False)

    ledger.keys.create(principal="user:anna", roles=["admin"])

    check_exposure(exposed, host="0.0.0.0", is_loopback=False)


async def test_with_a_provider_there_is_no_open_door(ledger: Ledger) -> None:
    async def tokens(token: str) -> Caller:
        if token != "sound":
            raise Unauthenticated
        return Caller("user:ben", roles=frozenset({"ask"}))

    authenticate = Authentication(ledger, is_loopback=True, tokens=tokens)
    _, secret = ledger.keys.create(principal="user:anna", roles=["ask"])

    assert not authenticate.is_open()
    assert (await authenticate("Bearer sound")).principal == "user:ben"
    assert (await authenticate(f"Bearer {secret}")).principal == "user:anna"
    for header in (None, "", "Bearer", "Bearer other", "sound", "Basic sound"):
        with pytest.raises(Unauthenticated):
            await authenticate(header)
