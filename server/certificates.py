"""Certificates of erasure: canonical JSON, signed with a key that stays in the data directory (Ed25519)."""

import base64
import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from retrieval.types import Erasure, Scan

KEY_FILE = "erasure-key.pem"
VERSION = 1


class CertificateRefused(Exception):
    """A certificate that proves nothing; the message says why."""


class Signer:
    """The data directory's key; made at the first use."""

    def __init__(self, data_dir: Path) -> None:
        """Load the key, or make one that its owner alone can read.

        Raises:
            CertificateRefused: the file is not an Ed25519 key.
        """
        path = data_dir / KEY_FILE
        if not path.exists():
            _make_key(path)
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise CertificateRefused(f"{path} is not a private key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise CertificateRefused(f"{path} is not an Ed25519 key.")
        self._key = key
        self.public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.key_id = key_id_of(self.public_key)

    def sign(self, text: str) -> str:
        """The signature of a text, in base64."""
        return base64.b64encode(self._key.sign(text.encode())).decode()


def certificate(erasure: Erasure, scan: Scan, *, issued_at: int, key_id: str) -> str:
    """What is certified, as the canonical JSON that is signed.

    It holds no name and no content, but salted hashes of them: who has the file can show that it is meant.
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
            "generation": {"before": erasure.generation_before, "after": erasure.generation_after},
            "scan": {
                "clean": scan.is_clean,
                "files": scan.files,
                "bytes": scan.bytes,
                "runs": scan.runs,
                "runs_of_other_documents": scan.shared,
                "rewritten": list(scan.rewrites),
            },
            "issued_at": issued_at,
            "key_id": key_id,
        }
    )


def canonical(value: object) -> str:
    """JSON that is spelled in one way: sorted names, no blanks, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


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
    key = load_pem_public_key(trusted[key_id].encode())
    if not isinstance(key, Ed25519PublicKey):
        raise CertificateRefused(f"The key {key_id} is not an Ed25519 key.")
    try:
        key.verify(base64.b64decode(signature, validate=True), canonical(said).encode())
    except (InvalidSignature, ValueError) as error:
        raise CertificateRefused("The signature does not match: the certificate was changed.") from error
    return dict(said)


def key_id_of(public_key: str) -> str:
    """The id of a public key (PEM): part of its digest.

    Raises:
        CertificateRefused: it is not one.
    """
    try:
        key = load_pem_public_key(public_key.encode())
    except ValueError as error:
        raise CertificateRefused(f"It is not a public key in PEM: {error}") from error
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]


def _make_key(path: Path) -> None:
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    aside = path.with_name(f"{path.name}.{token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(aside, path)  # fails where another process was first, whose key then holds
    except FileExistsError:
        pass
    finally:
        aside.unlink()
