"""server.certificates: signed once, verified anywhere, and refused when a single character differs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retrieval.erasure import Scan
from server.certificates import CertificateRefused, exported, proof, verify
from server.signing import Signer
from tests.server.erased import ERASURE

SCAN = Scan(files=3, bytes=400, runs=50, shared=7, rewrites=("the lexical index",), traces=())


def signed(signer: Signer) -> dict[str, Any]:
    made = proof(ERASURE, SCAN, signer, issued_at=1_700_000_009)
    document: dict[str, Any] = json.loads(json.dumps(exported(made, signer.public_key), indent=4))
    return document


def test_a_certificate_says_what_when_by_whom_and_what_was_found(tmp_path: Path) -> None:
    signer = Signer.of(tmp_path)

    said = verify(signed(signer), {signer.key_id: signer.public_key})

    assert (said["file_id"], said["file_is_gone"]) == ("file-1", True)
    assert (said["requested_by"], said["requested_at"], said["issued_at"]) == (
        "user:root",
        1_700_000_000,
        1_700_000_009,
    )
    assert "generation" not in said, "it would tell how much others have changed in between"
    assert said["scan"] == {"clean": True}, "counts would tell of the documents of others"


def test_stores_stand_in_a_record_of_their_own_since_not_every_reader_may_see_them(tmp_path: Path) -> None:
    signer = Signer.of(tmp_path)
    document = signed(signer)

    said = verify(document, {signer.key_id: signer.public_key})

    assert said.keys().isdisjoint({"vector_store_ids", "chunks"})
    assert "vs_1" not in json.dumps(said)
    assert document["held"] == {
        "id": "erasure_1",
        "vector_store_ids": ["vs_1"],
        "chunks": 2,
        "generation": {"before": 4, "after": 5},
        "key_id": signer.key_id,
    }
    for without in ({"held": None, "held_signature": None}, {}):
        alone = {name: value for name, value in document.items() if not name.startswith("held")}
        assert verify(alone | without, {signer.key_id: signer.public_key}) == said


def test_a_changed_record_of_stores_is_refused(tmp_path: Path) -> None:
    signer = Signer.of(tmp_path)
    trusted = {signer.key_id: signer.public_key}
    document = signed(signer)
    other = proof(replace(ERASURE, erasure_id="erasure_2"), SCAN, signer, issued_at=1)

    with pytest.raises(CertificateRefused, match="changed"):
        verify(document | {"held": document["held"] | {"vector_store_ids": ["vs_2"]}}, trusted)
    with pytest.raises(CertificateRefused, match="not signed"):
        verify(document | {"held_signature": None}, trusted)
    with pytest.raises(CertificateRefused, match="another erasure"):
        verify(document | {"held": json.loads(other.held or ""), "held_signature": other.held_signature}, trusted)
    with pytest.raises(CertificateRefused, match="not a certificate"):
        verify({"certificate": document["held"], "signature": document["held_signature"]}, trusted)


@pytest.mark.parametrize(
    ("field", "value"),
    [("file_id", "file-2"), ("issued_at", 1), ("scan", {"clean": False}), ("chunks", "2"), ("added", None)],
)
def test_a_changed_certificate_is_refused(tmp_path: Path, field: str, value: object) -> None:
    signer = Signer.of(tmp_path)
    document = signed(signer)
    document["certificate"][field] = value

    with pytest.raises(CertificateRefused, match="changed"):
        verify(document, {signer.key_id: signer.public_key})


@pytest.mark.parametrize("signature", ["", "AAAA", "no base64!", "é"])
def test_another_signature_is_refused(tmp_path: Path, signature: str) -> None:
    signer = Signer.of(tmp_path)

    with pytest.raises(CertificateRefused):
        verify(signed(signer) | {"signature": signature}, {signer.key_id: signer.public_key})


def test_the_key_that_comes_with_a_certificate_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ours, theirs = Signer.of(tmp_path / "a"), Signer.of(tmp_path / "b")

    with pytest.raises(CertificateRefused, match="not one of those trusted"):
        verify(signed(theirs), {ours.key_id: ours.public_key})
    with pytest.raises(CertificateRefused, match="changed"):
        verify(signed(theirs), {theirs.key_id: ours.public_key})


@pytest.mark.parametrize("document", [None, [], "x", {}, {"certificate": 1, "signature": ""}, {"certificate": {}}])
def test_what_is_no_certificate_is_refused(document: object) -> None:
    with pytest.raises(CertificateRefused, match="not a certificate"):
        verify(document, {})
