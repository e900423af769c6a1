"""The database's transactions for callers on an event loop: each runs in a worker thread, from begin to commit."""

from collections.abc import Callable
from typing import TypeVar

from anyio.to_thread import run_sync

from retrieval.store.database import Database, Transaction

T = TypeVar("T")


class AsyncDatabase:
    """Runs functions of a transaction; see `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, query: Callable[[Transaction], T]) -> T:
        def run() -> T:
            with self._database.read() as tx:
                return query(tx)

        return await run_sync(run)

    async def write(self, change: Callable[[Transaction], T]) -> T:
        def run() -> T:
            with self._database.write() as tx:
                return change(tx)

        return await run_sync(run)
