"""What documents with lists of their own cost a search: milliseconds until it knows which are hidden from its reader.

    python -m tests.bench.access [--documents 100000]

Every document has a list. `few` are a hundredth that one group may read, `most` the others. Processor time, which other
work on the machine does not stretch much: of the first look of a process, the next ones (median), the first after a
document came, and the first after a list was changed. It need not grow with what is hidden, but for the first look and
after a change. Beside it, what SQL takes that asks about each document.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from retrieval.lists import AccessLists
from retrieval.store import attaching, files, meta, stores
from retrieval.store.database import Database, Transaction
from retrieval.store.scope import VISIBLE, visible
from retrieval.types import Access, Reader

OWNER = Reader(frozenset({"user:owner"}))
LOOKS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    count = parser.parse_args().documents
    figures: dict[str, float] = {"documents": count}
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "store.db")
        with database.write() as tx:
            store_no = build(tx, count)
        for group in ("few", "most"):
            figures |= measured(database, store_no, group)
        database.close()
    for name, value in figures.items():
        print(f"{name:32} {value:.2f}")
    print(json.dumps(figures))


def build(tx: Transaction, count: int) -> int:
    """A store of documents without text, each with a list."""
    store_no = stores.create(tx, "bench", OWNER, Access(read=("*",)))
    meta.advance(tx)
    for at in range(count):
        file_no, _ = files.add(tx, owner="user:owner", filename=str(at), size=1, sha256=str(at))
        files.grant(tx, file_no, Access(read=("group:few" if at % 100 == 0 else "group:most",)))
        attaching.attach(tx, store_no, file_no)
    return store_no


def measured(database: Database, store_no: int, group: str) -> dict[str, float]:
    """One reader's looks, in a process that has looked at nothing yet."""
    lists = AccessLists()
    reader = Reader(frozenset({"user:someone", f"group:{group}"}))

    def hidden(tx: Transaction) -> int:
        flags = lists.hidden(tx, reader)
        return 0 if flags is None else int(flags.sum())

    def by_sql(tx: Transaction) -> int:
        sql = f"SELECT count(*) FROM documents JOIN files USING (file_no) WHERE NOT {VISIBLE}"
        return int(tx.rows(sql, *visible(reader))[0][0])

    def cpu_ms(look: Callable[[Transaction], int]) -> float:
        with database.read() as tx:
            began = time.process_time()
            look(tx)
            return (time.process_time() - began) * 1000

    figures = {"first": cpu_ms(hidden), "next": statistics.median(cpu_ms(hidden) for _ in range(LOOKS))}
    with database.write() as tx:
        file_no, _ = files.add(tx, owner="user:owner", filename="new", size=1, sha256="new")
        files.grant(tx, file_no, Access(read=("group:most",)))
        attaching.attach(tx, store_no, file_no)
    figures["after_a_document"] = cpu_ms(hidden)
    with database.write() as tx:
        files.grant(tx, file_no, Access(read=("group:few",)))
    figures["after_a_change"] = cpu_ms(hidden)
    figures["by_sql"] = cpu_ms(by_sql)
    with database.read() as tx:
        assert hidden(tx) == by_sql(tx), "what is kept in memory differs from what the store says"
    return {f"{group}_{name}_cpu_ms": value for name, value in figures.items()}


if __name__ == "__main__":
    main()
