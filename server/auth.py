"""From a request's headers to a caller, by keys and tokens. Knows no routes and no errors' wire form."""

import logging
from collections.abc import Awaitable, Callable

from anyio.to_thread import run_sync

from server.database import FAILED
from server.identity import ON_THIS_MACHINE, Caller, IdentityUnavailable, MayNotAct, PersonUnknown, Unauthenticated
from server.ledger import Ledger

log = logging.getLogger(__name__)

_SCHEME = "bearer"
ON_BEHALF_OF = "X-On-Behalf-Of"
LOCAL = Caller(principal=ON_THIS_MACHINE, roles=frozenset({"admin"}))


class ExposedWithoutKey(Exception):
    """The server would be reachable from other machines, and no key guards it."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"No API key exists, so the server listens on this machine only, not on {host}.\n"
            "Make a key first: `hrm-serve keys create --principal user:you --role admin`, "
            "or put a secret of 32 or more characters into a file and name it in HRM_FIRST_KEY_FILE "
            "(in a container: mount it as /run/secrets/hrm_first_key).\n"
            "To serve this machine alone, use --host 127.0.0.1."
        )
        self.host = host


class Authentication:
    """Asks the ledger about every request, so that a key made or revoked elsewhere counts at once."""

    def __init__(
        self, ledger: Ledger, *, is_loopback: bool, tokens: Callable[[str], Awaitable[Caller]] | None = None
    ) -> None:
        """Know callers by their keys.

        Args:
            tokens: checks the tokens of a provider, and raises Unauthenticated; None: there is no provider.
        """
        self._ledger = ledger
        self._is_loopback = is_loopback
        self._tokens = tokens

    def is_open(self) -> bool:
        """Say whether there is nothing to know callers by; blocks. Where that cannot be known, it is not so."""
        try:
            return self._tokens is None and self._ledger.keys.is_empty()
        except FAILED:
            return False

    async def __call__(self, authorization_header: str | None, on_behalf_of: str | None = None) -> Caller:
        """Return who it is; while there is nothing to know callers by, and only this machine can call, `user:local`.

        Raises:
            Unauthenticated: no credential, or one that is malformed, unknown, expired or revoked: all alike.
            PersonUnknown, MayNotAct, IdentityUnavailable: see `Authenticate`.
        """
        secret = _credential(authorization_header)
        # SQLite may wait for a writer in another process, and must not hold up the event loop meanwhile.
        try:
            caller = await run_sync(self._by_key, secret)
        except FAILED as error:
            log.error("keys cannot be looked up: %s", error)
            raise IdentityUnavailable from error
        if caller is None and self._tokens is not None and secret is not None:
            caller = await self._tokens(secret)
        if caller is None:
            raise Unauthenticated
        return caller if on_behalf_of is None else await self._person(on_behalf_of, caller)

    async def _person(self, header: str, application: Caller) -> Caller:
        if "act-for" not in application.roles:
            raise MayNotAct(application, ON_BEHALF_OF)
        token = _credential(header)
        if token is None or self._tokens is None:
            raise PersonUnknown(application)
        try:
            person = await self._tokens(token)
        except Unauthenticated as error:
            raise PersonUnknown(application) from error
        return person.behind(application)

    def _by_key(self, secret: str | None) -> Caller | None:
        if self._is_loopback and self.is_open():
            return LOCAL
        key = None if secret is None else self._ledger.keys.find(secret)
        if key is None:
            return None
        return Caller(
            principal=key.principal,
            groups=key.groups,
            roles=key.roles,
            key_id=key.key_id,
            grounded_only=key.grounded_only,
            limits=key.limits,
            allowed_models=key.allowed_models,
            allowed_stores=key.allowed_stores,
        )


def check_exposure(authentication: Authentication, *, host: str, is_loopback: bool) -> None:
    """Let a server start that is guarded by keys or tokens, or that only this machine can reach.

    Raises:
        ExposedWithoutKey: it is neither.
    """
    if not is_loopback and authentication.is_open():
        raise ExposedWithoutKey(host)


def _credential(header: str | None) -> str | None:
    """What stands behind the scheme; None where there is nothing, or another scheme."""
    scheme, _, secret = (header or "").partition(" ")
    return secret.strip() or None if scheme.lower() == _SCHEME else None
