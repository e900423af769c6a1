"""Certificates of erasure: canonical JSON, signed with the key of the installation."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.erasure import Erasure, Scan
from server.signing import Signer, canonical, is_signed

# 1 had counts of the scan, which told its reader about the documents of others; 2 named all stores, counted chunks in
# all, and had the generations before and after, which count what others do.
VERSION = 3


class CertificateRefused(Exception):
    """A certificate that proves nothing; the message says why."""


def certificate(erasure: Erasure, scan: Scan, *, issued_at: int, key_id: str) -> str:
    """What is certified, as the canonical JSON that is signed.

    It holds no name and no content, but salted hashes of them: who has the file can show that it is meant. Of the scan
    it says the result alone: how much of the text other documents have too, of which its reader may see none, would
    answer whoever erases a guess at what they say. Stores that held the file and generations of the index are in
    another record (`held`), since its reader may not see all of those stores, and generations count what others do.
    """
    return canonical(
        {
            "version": VERSION,
            "id": erasure.erasure_id,
            "file_id": erasure.file_id,
            "file_is_gone": erasure.is_whole,
            "salt": erasure.salt,
            "filename_sha256": erasure.name_hash,
            "content_sha256": erasure.content_hash,
            "bytes": erasure.bytes,
            "owner": erasure.owner,
            "requested_by": erasure.by,
            "requested_at": erasure.requested_at,
            "reason": erasure.reason,
            "scan": {"clean": scan.is_clean},
            "issued_at": issued_at,
            "key_id": key_id,
        }
    )


def held(erasure: Erasure, *, key_id: str) -> str:
    """Which stores held what a certificate is about, and since when no search finds it, for administrators.

    As the canonical JSON that is signed.
    """
    return canonical(
        {
            "id": erasure.erasure_id,
            "vector_store_ids": erasure.store_ids,
            "chunks": erasure.chunks,
            "generation": {"before": erasure.generation_before, "after": erasure.generation_after},
            "key_id": key_id,
        }
    )


@dataclass(frozen=True, slots=True)
class Proof:
    """What is certified of one erasure, and signed: two records in canonical JSON, and their signatures in base64.

    `held` and its signature are null in records of versions before 3, whose certificates name the stores themselves.
    """

    certificate: str
    signature: str
    key_id: str
    held: str | None
    held_signature: str | None

    def names_other_stores(self, than: Sequence[str]) -> bool:
        """Whether the certificate itself, an older one, names stores that are not among these."""
        return not set(json.loads(self.certificate).get("vector_store_ids", ())) <= set(than)


def proof(erasure: Erasure, scan: Scan, signer: Signer, *, issued_at: int) -> Proof:
    """Certify an erasure."""
    text = certificate(erasure, scan, issued_at=issued_at, key_id=signer.key_id)
    stores = held(erasure, key_id=signer.key_id)
    return Proof(text, signer.sign_text(text), signer.key_id, stores, signer.sign_text(stores))


def exported(proof: Proof, public_key: str) -> dict[str, Any]:
    """A certificate as a file for administrators holds it."""
    return {
        "certificate": json.loads(proof.certificate),
        "signature": proof.signature,
        "public_key": public_key,
        "held": None if proof.held is None else json.loads(proof.held),
        "held_signature": proof.held_signature,
    }


def verify(document: object, trusted: Mapping[str, str]) -> dict[str, Any]:
    """Return what a certificate says, if a trusted key has signed exactly that.

    Args:
        document: as `exported` makes it. Its own copy of the public key is not believed.
        trusted: PEM by key id.

    Raises:
        CertificateRefused: it is no certificate, was changed, or is of an unknown key.
    """
    match document:
        case {
            "certificate": {"key_id": str(key_id), "file_id": str(), "id": str(erasure_id)} as said,
            "signature": str(signature),
        }:
            pass
        case _:
            raise CertificateRefused(
                "It is not a certificate of erasure: it lacks the certificate, its signature or key."
            )
    if key_id not in trusted:
        raise CertificateRefused(f"It was signed with the key {key_id}, which is not one of those trusted.")
    _check(said, signature, trusted[key_id])
    match document:
        case {"held": {"id": str(held_id), "key_id": str(held_key)} as stores, "held_signature": str(held_signature)}:
            if (held_id, held_key) != (erasure_id, key_id):
                raise CertificateRefused("What it says of stores is about another erasure.")
            _check(stores, held_signature, trusted[key_id])
        case {"held": dict()}:
            raise CertificateRefused("What it says of stores is not signed.")
    return dict(said)


def _check(said: object, signature: str, public_key: str) -> None:
    try:
        given = base64.b64decode(signature, validate=True)
    except ValueError as error:
        raise CertificateRefused("The signature is not one: the certificate was changed.") from error
    if not is_signed([public_key], canonical(said).encode(), given):
        raise CertificateRefused("The signature does not match: the certificate was changed.")
