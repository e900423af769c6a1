"""Who is calling, and the ways of being turned away. Knows neither keys nor HTTP."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal, Protocol

from retrieval.types import EVERYONE, Access, Reader

Role = Literal["admin", "ingest", "ask", "metrics", "act-for"]

# Who owns what is made on the machine itself, and who holds the key that a file brings: nobody was asked for these
# names, so no provider's account may take them.
ON_THIS_MACHINE = "user:local"
FIRST_KEY_HOLDER = "user:admin"
MAX_NAME = 256


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


def is_name(name: object) -> bool:
    """Whether something can name a person or a group, without the prefix."""
    # Printable: what stands in access lists, logs and the audit log must look like what it is.
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable() and " " not in name


def is_grantee(name: str) -> bool:
    """Whether an access list can hold it: user:x, group:y or *."""
    kind, _, of_whom = name.partition(":")
    return name == EVERYONE or (kind in ("user", "group") and is_name(of_whom))


class Unauthenticated(Exception):
    """No credential was given, or one that is unknown, expired or revoked: the caller learns no more than that."""


class PersonUnknown(Unauthenticated):
    """An application acts for somebody whose token is not acceptable."""

    def __init__(self, application: "Caller") -> None:
        super().__init__()
        self.application = application


class IdentityUnavailable(Exception):
    """Tokens cannot be told from forged ones at the moment: the provider's keys are out of reach."""


class Forbidden(Exception):
    """The caller is known, and lacks the role that this needs."""

    def __init__(self, needed: str, what: str = "This") -> None:
        super().__init__(f"{what} needs a key with the role {needed}.")
        self.needed = needed


class MayNotAct(Forbidden):
    """A caller without the role for it acts for somebody."""

    def __init__(self, application: "Caller", what: str = "Acting for people") -> None:
        super().__init__("act-for", what)
        self.application = application


class StoresOnly(Exception):
    """The caller's key is limited to certain stores, and this reaches beyond them."""


class GroundedOnly(Exception):
    """The caller's key is limited to grounded answers, and the request asks for one without sources."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may call: the names that access lists know, the roles, and the key they came with.

    `application`: it came with the key and acts for the principal, who is known by a token of its own. The principal
    has no right then that the application lacks.
    """

    principal: str  # `user:..`
    groups: frozenset[str] = frozenset()  # `group:..`
    roles: frozenset[Role] = frozenset()
    key_id: str | None = None  # None: a token, or nothing where this machine alone can call
    grounded_only: bool = False
    limits: Limits = UNLIMITED  # of the key
    allowed_models: frozenset[str] | None = None  # None: all
    allowed_stores: frozenset[str] | None = None  # by id or name; None: all
    application: "Caller | None" = None

    def behind(self, application: "Caller") -> "Caller":
        """The same person, for whom an application acts with its own key."""
        return replace(
            self,
            roles=_common(self.roles, application.roles),
            key_id=application.key_id,
            grounded_only=self.grounded_only or application.grounded_only,
            limits=application.limits,
            application=application,
        )

    def reader(self) -> Reader:
        """The caller as searches and access lists know them."""
        return Reader(
            names=frozenset({self.principal, EVERYONE}) | self.groups,
            is_admin="admin" in self.roles,
            stores=self.allowed_stores,
            through=None if self.application is None else self.application.reader(),
        )

    def partition(self) -> str:
        """Whose prompts may be found again: this caller's, with these rights, and nobody else's."""
        rights = [
            [
                one.principal,
                sorted(one.groups),
                "admin" in one.roles,
                None if one.allowed_stores is None else sorted(one.allowed_stores),
            ]
            for one in self.parties()
        ]
        return sha256(json.dumps(rights).encode()).hexdigest()

    def parties(self) -> "tuple[Caller, ...]":
        """Everybody who must be allowed what is asked: the principal, and the application."""
        return (self,) if self.application is None else (self, self.application)

    def may_ask(self, model: str) -> bool:
        """Say whether a model id is open to the caller; the plain id opens its aliases too."""
        plain = model.rpartition("@")[0] or model
        return all(
            one.allowed_models is None or not one.allowed_models.isdisjoint({model, plain}) for one in self.parties()
        )

    def refuse_limited_to_stores(self) -> None:
        """Let the caller through if no store is closed to its key as such.

        Raises:
            StoresOnly: some are.
        """
        if any(one.allowed_stores is not None for one in self.parties()):
            raise StoresOnly

    def default_access(self) -> Access | None:
        """Who may use what the caller makes and does not share; None: its owner alone.

        What a person makes through an application would otherwise be out of reach of both together.
        """
        if self.application is None:
            return None
        names = (self.principal, self.application.principal)
        return Access(read=names, write=names)

    def require(self, *roles: Role) -> None:
        """Let the caller through with any of `roles`; an admin has them all.

        Raises:
            Forbidden: the caller has none of them.
        """
        if self.roles.isdisjoint({"admin", *roles}):
            raise Forbidden(" or ".join(roles))


def _common(mine: frozenset[Role], other: frozenset[Role]) -> frozenset[Role]:
    """The roles of both, of which an admin has every one; acting for people is no right of people."""
    both = mine if "admin" in other else other if "admin" in mine else mine & other
    return both - {"act-for"}


class Authenticate(Protocol):
    """Turns the headers of a request into a caller."""

    async def __call__(self, authorization_header: str | None, on_behalf_of: str | None = None) -> Caller:
        """Return who it is.

        Args:
            on_behalf_of: the header in which an application sends the token of the person it acts for.

        Raises:
            Unauthenticated: there is no such caller.
            PersonUnknown: there is no such person.
            MayNotAct: the caller may not act for anybody.
            IdentityUnavailable: tokens cannot be checked at the moment.
        """
        ...
