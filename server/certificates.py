"""Certificates of erasure: canonical JSON, signed with the key of the installation."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from retrieval.erasure import Erasure, Scan
from server.signing import canonical, is_signed

# 1 had counts of the scan, 2 the generations before and after: both told their reader about the documents of others.
VERSION = 3


class CertificateRefused(Exception):
    """A certificate that proves nothing; the message says why."""


def certificate(erasure: Erasure, scan: Scan, *, issued_at: int, key_id: str) -> str:
    """What is certified, as the canonical JSON that is signed.

    It holds no name and no content, but salted hashes of them: who has the file can show that it is meant. Of the scan
    it says the result alone: how much of the text other documents have too, of which its reader may see none, would
    answer whoever erases a guess at what they say. It has no generations of the store: they count what others do.
    """
    return canonical(
        {
            "version": VERSION,
            "id": erasure.erasure_id,
            "file_id": erasure.file_id,
            "vector_store_ids": list(erasure.store_ids),
            "file_is_gone": erasure.is_whole,
            "salt": erasure.salt,
            "filename_sha256": erasure.name_hash,
            "content_sha256": erasure.content_hash,
            "bytes": erasure.bytes,
            "chunks": erasure.chunks,
            "owner": erasure.owner,
            "requested_by": erasure.by,
            "requested_at": erasure.requested_at,
            "reason": erasure.reason,
            "scan": {"clean": scan.is_clean},
            "issued_at": issued_at,
            "key_id": key_id,
        }
    )


def exported(certificate: str, signature: str, public_key: str) -> dict[str, Any]:
    """A certificate as a file or a response holds it."""
    return {"certificate": json.loads(certificate), "signature": signature, "public_key": public_key}


def verify(document: object, trusted: Mapping[str, str]) -> dict[str, Any]:
    """Return what a certificate says, if a trusted key has signed exactly that.

    Args:
        document: as `exported` makes it. Its own copy of the public key is not believed.
        trusted: PEM by key id.

    Raises:
        CertificateRefused: it is no certificate, was changed, or is of an unknown key.
    """
    match document:
        case {"certificate": {"key_id": str(key_id)} as said, "signature": str(signature)}:
            pass
        case _:
            raise CertificateRefused(
                "It is not a certificate of erasure: it lacks the certificate, its signature or key."
            )
    if key_id not in trusted:
        raise CertificateRefused(f"It was signed with the key {key_id}, which is not one of those trusted.")
    try:
        given = base64.b64decode(signature, validate=True)
    except ValueError as error:
        raise CertificateRefused("The signature is not one: the certificate was changed.") from error
    if not is_signed([trusted[key_id]], canonical(said).encode(), given):
        raise CertificateRefused("The signature does not match: the certificate was changed.")
    return dict(said)
