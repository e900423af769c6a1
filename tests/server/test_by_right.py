"""server.eraser: what the server's own files hold by right keeps no erasure open, and tells nobody that it is there."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from retrieval.library import Library
from server.audit.held import held
from server.audit.log import AuditLog
from server.certificates import exported, verify
from server.eraser import Eraser
from server.ledger import Ledger
from server.signing import Signer
from tests.retrieval.canaries import canary
from tests.retrieval.desk import ANNA, write

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("record", "name", "text"),
    [
        ({"defaults": {"abstention": "The documents do not contain the answer."}}, "a.txt", "do not contain the form"),
        ({"request": "Dismissal-Velin-2026"}, "Dismissal-Velin-2026.txt", "The desk is closed."),
        ({"route": "POST /v1/vector_stores/Dismissal-Velin-2026/search"}, "a.txt", "Re: Dismissal-Velin-2026"),
        ({"caller": "user:anna.velin@insurer.example"}, "a.txt", "Write to anna.velin@insurer.example."),
    ],
)
async def test_what_the_audit_log_holds_by_right_keeps_no_erasure_open_and_tells_nobody_that_it_does(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path, record: dict[str, Any], name: str, text: str
) -> None:
    audit = AuditLog(data / "audit.db", Signer.of(data))
    audit.append({"request": "req_1", **record}, {})
    document = await library.ingest(write(tmp_path, name, text), store="shop", reader=ANNA)
    await library.delete(document.file_id, ANNA)
    eraser = Eraser(library, ledger, Signer.of(data), recorded=partial(held, data / "audit.db"))

    purge = await eraser.run_once()

    assert purge.problem is None
    assert purge.scan is not None
    assert purge.scan.rewrites == ()
    assert [found.proof is None for found in ledger.erasures.listing()] == [False]
    audit.close()


@pytest.mark.parametrize(
    "said", ["-----BEGIN PRIVATE KEY-----", "SQLite format 3", "tablesigning_keys", "CREATE INDEX private_of_request"]
)
async def test_what_files_of_the_servers_own_say_of_themselves_keeps_no_erasure_open(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path, said: str
) -> None:
    AuditLog(data / "audit.db", Signer.of(data)).close()
    document = await library.ingest(write(tmp_path, "a.txt", f"In a handbook: {said}."), store="shop", reader=ANNA)
    await library.delete(document.file_id, ANNA)
    eraser = Eraser(library, ledger, Signer.of(data), recorded=partial(held, data / "audit.db"))

    assert (await eraser.run_once()).problem is None


async def test_remains_of_one_removal_keep_no_other_one_open(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path
) -> None:
    for seed in (1, 2, 3):
        document = await library.ingest(write(tmp_path, f"{seed}.txt", canary(seed)), store="shop", reader=ANNA)
        await library.delete(document.file_id, ANNA)
    copy = write(data, "copy", canary(2)[100:130])

    purge = await Eraser(library, ledger, Signer.of(data)).run_once()

    first, second, third = ledger.erasures.listing()
    assert purge.problem == "remains in copy"
    assert [erasure.erasure_id for erasure in purge.waiting] == [second.erasure_id]
    assert second.proof is None
    for proven in (first, third):
        assert proven.proof is not None
        assert verify(exported(proven.proof, ""), ledger.erasures.public_keys())["scan"]["clean"]
    copy.unlink()
    assert (await Eraser(library, ledger, Signer.of(data)).run_once()).problem is None
