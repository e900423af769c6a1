"""/v1/erasures, as admins, owners and strangers see it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from retrieval.erasure import Scan
from retrieval.opening import open_library
from retrieval.store import going, stores
from retrieval.store.database import Database
from server.certificates import Proof, proof, verify
from server.erasure_records import ErasureRecord
from server.ledger import Ledger
from server.schemas.erasures import ErasureList, ErasureObject
from server.schemas.objects import ErrorBody
from server.signing import Signer, canonical
from tests.fakes.serving import HANDBOOK, OWNER, client_of, services, stocked
from tests.retrieval.desk import ANNA, WordsEmbedder, files, write
from tests.server.erased import ERASURE

pytestmark = pytest.mark.anyio

SCAN = Scan(files=1, bytes=2, runs=3, shared=0, rewrites=(), traces=())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Five erasures, of which the third is certified; the last one's file was the admin's."""
    ledger = Ledger(tmp_path / "ledger.db")
    signer = Signer.of(tmp_path)
    for number in range(5):
        owner = "user:root" if number == 4 else "user:ann"
        ledger.erasures.expect(
            replace(ERASURE, erasure_id=f"erasure_{number}", requested_at=number, owner=owner, by="user:root")
        )
    ledger.erasures.remember_key(signer.key_id, signer.public_key, 9)
    ledger.erasures.certify("erasure_2", proof(replace(ERASURE, erasure_id="erasure_2"), SCAN, signer, issued_at=9))
    yield ledger
    ledger.close()


async def test_a_certified_erasure_comes_with_what_verifies_it(ledger: Ledger) -> None:
    async with client_of(services(erasures=ledger.erasures)) as client:
        response = await client.get("/v1/erasures/erasure_2")

    found = ErasureObject.model_validate(response.json())
    assert (found.status, found.owner) == ("certified", "user:ann")
    assert verify(response.json(), ledger.erasures.public_keys()) == found.certificate


@pytest.mark.parametrize(("names", "shown"), [(["vs_1"], False), ([], True)])
async def test_an_older_certificate_that_names_stores_is_shown_to_admins_alone(
    tmp_path: Path, names: list[str], shown: bool
) -> None:
    older, signer = Ledger(tmp_path / "older.db"), Signer.of(tmp_path)
    older.erasures.expect(ERASURE)
    text = canonical({"id": "erasure_1", "file_id": "file-1", "vector_store_ids": names, "key_id": signer.key_id})
    older.erasures.remember_key(signer.key_id, signer.public_key, 9)
    older.erasures.certify("erasure_1", Proof(text, signer.sign_text(text), signer.key_id, None, None))
    said = []
    for key in ("sk-admin", "sk-ann"):
        async with client_of(services(erasures=older.erasures), key) as client:
            said.append((await client.get("/v1/erasures/erasure_1")).json())
    keys = older.erasures.public_keys()
    older.close()

    assert verify(said[0], keys)["vector_store_ids"] == names
    assert said[0]["vector_store_ids"] == ["vs_1"]
    assert (said[1]["status"], said[1]["vector_store_ids"]) == ("certified", [])
    assert (said[1]["certificate"] is not None) == (said[1]["signature"] is not None) == shown


async def test_what_was_just_deleted_is_listed_as_pending_and_counted(ledger: Ledger, tmp_path: Path) -> None:
    shelf = await stocked(tmp_path, HANDBOOK)
    (document, *_) = await shelf.documents("handbook", OWNER)
    erasure = await shelf.delete(document.file_id, OWNER)
    async with client_of(services(shelf=shelf, erasures=ledger.erasures), "sk-admin") as client:
        found = ErasureObject.model_validate((await client.get(f"/v1/erasures/{erasure.erasure_id}")).json())
        listed = ErasureList.model_validate((await client.get("/v1/erasures")).json())
    async with client_of(services(erasures=ledger.erasures), "sk-probe") as client:
        metrics = (await client.get("/metrics")).text

    assert (found.status, found.file_id) == ("pending", document.file_id)
    assert found in listed.data
    assert "\nhrm_erasures_pending 5.0\n" in metrics


async def test_what_is_still_to_be_taken_out_of_a_removed_store_counts_as_pending(
    ledger: Ledger, tmp_path: Path
) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        await library.ingest_all(files(tmp_path, 3), store="shop", reader=ANNA)
        with Database(tmp_path / "data" / "store.db").write() as tx:  # as a process leaves it that ends in between
            going.take_away(tx, stores.number(tx, "shop", ANNA), "user:anna")
        async with client_of(services(store=library, erasures=ledger.erasures), "sk-probe") as client:
            metrics = (await client.get("/metrics")).text
            await library.aclose()
            without_store = (await client.get("/metrics")).text

    assert "\nhrm_erasures_pending 7.0\n" in metrics
    assert "\nhrm_erasures_pending 4.0\n" in without_store


async def test_the_list_is_paged_newest_first(ledger: Ledger) -> None:
    async with client_of(services(erasures=ledger.erasures), "sk-admin") as client:
        first = ErasureList.model_validate((await client.get("/v1/erasures?limit=3")).json())
        rest = ErasureList.model_validate((await client.get(f"/v1/erasures?limit=3&after={first.last_id}")).json())
        oldest = ErasureList.model_validate((await client.get("/v1/erasures?limit=1&order=asc")).json())

    assert [item.id for item in first.data] == ["erasure_4", "erasure_3", "erasure_2"]
    assert [item.id for item in rest.data] == ["erasure_1", "erasure_0"]
    assert (first.has_more, rest.has_more) == (True, False)
    assert [item.status for item in first.data] == ["pending", "pending", "certified"]
    assert oldest.first_id == oldest.last_id == "erasure_0"


async def test_a_page_reads_no_more_records_than_it_shows_but_the_one_behind(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    page = ledger.erasures.page

    def counted(*asked: Any, **how: Any) -> list[ErasureRecord]:
        found = page(*asked, **how)
        read.append(len(found))
        return found

    monkeypatch.setattr(ledger.erasures, "page", counted)
    async with client_of(services(erasures=ledger.erasures), "sk-admin") as client:
        await client.get("/v1/erasures?limit=2&after=erasure_4")

    assert read == [3]


async def test_records_of_one_second_are_paged_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for number in (3, 1, 4, 0, 5, 9, 2, 6):
        ledger.erasures.expect(replace(ERASURE, erasure_id=f"erasure_{number}", requested_at=7))
    async with client_of(services(erasures=ledger.erasures), "sk-admin") as client:
        seen, after = list[str](), ""
        while True:
            page = ErasureList.model_validate((await client.get(f"/v1/erasures?limit=3&order=asc{after}")).json())
            seen += [item.id for item in page.data]
            if not page.has_more:
                break
            after = f"&after={page.last_id}"
    ledger.close()

    assert seen == [f"erasure_{number}" for number in (3, 1, 4, 0, 5, 9, 2, 6)]


async def test_an_owner_sees_those_of_their_files_and_others_see_none(ledger: Ledger) -> None:
    async with client_of(services(erasures=ledger.erasures), "sk-ann") as client:
        mine = (await client.get("/v1/erasures")).json()
        hidden = await client.get("/v1/erasures/erasure_4")
        absent = await client.get("/v1/erasures/erasure_9")
    async with client_of(services(erasures=ledger.erasures), "sk-probe") as client:
        theirs = (await client.get("/v1/erasures")).json()

    assert [item["id"] for item in mine["data"]] == ["erasure_3", "erasure_2", "erasure_1", "erasure_0"]
    assert (hidden.status_code, hidden.json()["error"]["code"]) == (404, "erasure_not_found")
    assert hidden.text.replace("erasure_4", "erasure_9") == absent.text
    assert theirs == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=x", "limit"), ("after=erasure_9", "after"), ("order=up", "order"), ("x=1", "x")],
)
async def test_a_page_that_is_not_there_is_a_400(ledger: Ledger, query: str, param: str) -> None:
    async with client_of(services(erasures=ledger.erasures)) as client:
        response = await client.get(f"/v1/erasures?{query}")

    ErrorBody.model_validate(response.json())
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_a_ledger_in_use_asks_for_another_try_and_takes_no_metrics_along(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", busy_timeout_ms=10)
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        document = await library.ingest(write(tmp_path, "a.txt", "Tea is at four."), store="shop", reader=OWNER)
        await library.delete(document.file_id, OWNER)
        other = apsw.Connection(str(tmp_path / "ledger.db"))
        other.execute("BEGIN EXCLUSIVE")

        async with client_of(services(store=library, erasures=ledger.erasures)) as client:
            for path in ("/v1/erasures", f"/v1/files/{document.file_id}/content"):
                refused = await client.get(path)

                ErrorBody.model_validate(refused.json())
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ledger_unavailable")
                assert refused.headers["retry-after"] == "1"
        other.close()
    ledger.close()


async def test_metrics_are_told_though_the_ledger_cannot_be_read(ledger: Ledger, tmp_path: Path) -> None:
    async with client_of(services(erasures=ledger.erasures), "sk-probe") as client:
        before = await client.get("/metrics")
        (tmp_path / "ledger.db").rename(tmp_path / "elsewhere.db")
        after = await client.get("/metrics")

    assert "hrm_erasures_pending 4.0" in before.text
    assert after.status_code == 200
    assert "hrm_erasures_pending NaN" in after.text
    assert "hrm_http_requests_total" in after.text
