"""Who uses the server on this day: people behind one application's key, and people with keys of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from server import upkeep
from server.ledger import Ledger
from tests.identity_provider import AUDIENCE, ISSUER, Provider

PORTAL = "user:portal"
GROUPS = ("claims", "loans", "staff")


@dataclass
class Person:
    """Somebody with groups. `key_id`: whose key it is; of several people, if it is an application's."""

    name: str
    groups: tuple[str, ...]
    key_id: str
    is_behind_portal: bool = True
    may_write: bool = True

    @property
    def principal(self) -> str:
        return f"user:{self.name}"

    @property
    def names(self) -> frozenset[str]:
        """The names by which access lists know them."""
        return frozenset({self.principal, *(f"group:{group}" for group in self.groups)})


class Office:
    """The people, their keys, which are turned during the day, and the provider of their tokens."""

    def __init__(self, folder: Path) -> None:
        data = folder / "data"
        data.mkdir()
        self._ledger = Ledger(data / upkeep.LEDGER)
        self._provider = Provider()
        self._jwks = folder / "jwks.json"
        self._provider.publish(self._jwks)
        self._secrets: dict[str, str] = {}
        self.ending: set[str] = set()  # secrets that open nothing any more, or soon will not
        self.ended: list[str] = []
        portal = self._key(PORTAL, ("claims", "loans"), "ask", "ingest", "act-for")
        self.people = [
            Person("anna", ("claims",), portal),
            Person("bert", ("loans",), portal),
            Person("cleo", ("claims", "loans"), portal),
            Person("dora", (), portal),
            Person("emil", ("staff",), self._key("user:emil", ("staff",), "ask", "ingest"), is_behind_portal=False),
            Person(
                "fay", ("claims",), self._key("user:fay", ("claims",), "ask"), is_behind_portal=False, may_write=False
            ),
        ]
        self.portal = Person("portal", ("claims", "loans"), portal, is_behind_portal=False)  # when it acts for nobody
        self.admin = Person("root", (), self._key("user:root", (), "admin"), is_behind_portal=False)

    @property
    def flags(self) -> list[str]:
        """What a server needs to know to let these people in."""
        provider = ["--oidc-issuer", ISSUER, "--oidc-audience", AUDIENCE, "--oidc-jwks-file", str(self._jwks)]
        return [*provider, "--oidc-roles", "ask,ingest"]

    def headers(self, person: Person) -> dict[str, str]:
        """What somebody sends along to be known."""
        headers = {"authorization": f"Bearer {self._secrets[person.key_id]}"}
        if person.is_behind_portal:
            token = self._provider.token(person.name, *person.groups)
            headers["x-on-behalf-of"] = f"Bearer {token}"
        return headers

    def may_be_ended(self, headers: Mapping[str, str]) -> bool:
        """Was the key that a request came with taken away meanwhile?"""
        return headers["authorization"].removeprefix("Bearer ") in self.ending

    def forged(self, person: Person) -> dict[str, str]:
        """The same, with a token of another audience, or a key that does not exist."""
        headers = self.headers(person)
        if not person.is_behind_portal:
            return {"authorization": "Bearer hrm-not-a-key"}
        other = self._provider.token(person.name, *GROUPS, aud="elsewhere")
        return {**headers, "x-on-behalf-of": f"Bearer {other}"}

    def turn_key(self, person: Person) -> None:
        """Give a key a new secret; the old one goes on for requests under way where others use it too."""
        old = self._secrets[person.key_id]
        overlap_s = 3600 if person.is_behind_portal else 0
        if not overlap_s:
            self.ending.add(old)
        _, self._secrets[person.key_id] = self._ledger.keys.rotate(person.key_id, overlap_s=overlap_s)
        if not overlap_s:
            self.ended.append(old)

    def turn_provider(self, kid: str) -> None:
        """Let the provider sign with another key from now on."""
        self._provider.turn(kid)
        self._provider.publish(self._jwks)

    def close(self) -> None:
        self._ledger.close()

    def _key(self, principal: str, groups: tuple[str, ...], *roles: str) -> str:
        named = [f"group:{group}" for group in groups]
        key, secret = self._ledger.keys.create(principal=principal, roles=roles, groups=named)
        self._secrets[key.key_id] = secret
        return key.key_id
