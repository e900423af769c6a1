"""Who is calling, and the two ways of being turned away. Knows neither keys nor HTTP."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, Protocol

from retrieval.types import EVERYONE, Reader

Role = Literal["admin", "ingest", "ask", "metrics"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one key may use up; None: no such limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None  # of prompts and answers together
    concurrent_requests: int | None = None
    max_tokens: int | None = None  # of one answer

    def given(self) -> list[tuple[str, int]]:
        """The limits there are, by name."""
        return [(name, value) for name in self.__slots__ if (value := getattr(self, name)) is not None]


UNLIMITED = Limits()


class Unauthenticated(Exception):
    """No credential was given, or one that is unknown, expired or revoked: the caller learns no more than that."""


class Forbidden(Exception):
    """The caller is known, and lacks the role that this needs."""

    def __init__(self, needed: str) -> None:
        super().__init__(f"This needs a key with the role {needed}.")
        self.needed = needed


class GroundedOnly(Exception):
    """The caller's key is limited to grounded answers, and the request asks for one without sources."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may call: the names that access lists know, the roles, and the key they came with."""

    principal: str  # `user:..`
    groups: frozenset[str] = frozenset()  # `group:..`
    roles: frozenset[Role] = frozenset()
    key_id: str | None = None  # None: no key is configured, so everyone on this machine is `user:local`
    grounded_only: bool = False
    limits: Limits = UNLIMITED

    def reader(self) -> Reader:
        """The caller as searches and access lists know them."""
        return Reader(
            names=frozenset({self.principal, EVERYONE}) | self.groups,
            is_admin="admin" in self.roles,
        )

    def partition(self) -> str:
        """Whose prompts may be found again: this caller's, with these rights, and nobody else's."""
        return sha256("\0".join((self.principal, *sorted(self.groups))).encode()).hexdigest()

    def require(self, *roles: Role) -> None:
        """Let the caller through with any of `roles`; an admin has them all.

        Raises:
            Forbidden: the caller has none of them.
        """
        if self.roles.isdisjoint({"admin", *roles}):
            raise Forbidden(" or ".join(roles))


class Authenticate(Protocol):
    """Turns the Authorization header into a caller."""

    async def __call__(self, authorization_header: str | None) -> Caller:
        """Return who it is.

        Raises:
            Unauthenticated: there is no such caller.
        """
        ...
