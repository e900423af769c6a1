"""From an Authorization header to a caller, by the ledger. Knows no routes and no errors' wire form."""

from anyio.to_thread import run_sync

from server.identity import Caller, Unauthenticated
from server.ledger import Ledger

_SCHEME = "bearer"
LOCAL = Caller(principal="user:local", roles=frozenset({"admin"}))


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


def check_exposure(ledger: Ledger, *, host: str, is_loopback: bool) -> None:
    """Let a server start that is guarded by a key, or that only this machine can reach.

    Raises:
        ExposedWithoutKey: it is neither.
    """
    if not is_loopback and ledger.keys.is_empty():
        raise ExposedWithoutKey(host)


class Authentication:
    """Asks the ledger about every request, so that a key made or revoked elsewhere counts at once."""

    def __init__(self, ledger: Ledger, *, is_loopback: bool) -> None:
        self._ledger = ledger
        self._is_loopback = is_loopback

    async def __call__(self, authorization_header: str | None) -> Caller:
        """Return who it is; while there is no key at all and only this machine can call, that is `user:local`.

        Raises:
            Unauthenticated: no key, a malformed header, an unknown, expired or revoked key: all alike.
        """
        # SQLite may wait for a writer in another process, and must not hold up the event loop meanwhile.
        return await run_sync(self._caller, authorization_header)

    def _caller(self, header: str | None) -> Caller:
        if self._is_loopback and self._ledger.keys.is_empty():
            return LOCAL
        scheme, _, secret = (header or "").partition(" ")
        key = self._ledger.keys.find(secret.strip()) if scheme.lower() == _SCHEME else None
        if key is None:
            raise Unauthenticated
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
