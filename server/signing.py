"""Signatures of this installation: one Ed25519 key in a file that only the server's user can read."""

import os
from pathlib import Path

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


class SigningKeyError(Exception):
    """A key file that cannot be used; the message says which and why."""


class Signer:
    """Signs with the private key. May be used from any thread."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> "Signer":
        """Read the key, or make one where there is none.

        Raises:
            SigningKeyError: the file holds something else, or others than its owner may read it.
        """
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            return cls(_made(path))
        if path.stat().st_mode & 0o077:
            raise SigningKeyError(f"{path} may be read by others than its owner; `chmod 600` it.")
        try:
            key = load_pem_private_key(secret, password=None)
        except ValueError as error:
            raise SigningKeyError(f"{path} holds no private key in PEM.") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyError(f"{path} holds a key of another kind than Ed25519.")
        return cls(key)

    def sign(self, message: bytes) -> bytes:
        """64 bytes that `is_signed` accepts for this message and the public key."""
        return self._key.sign(message)

    @property
    def public_pem(self) -> str:
        """The public key, for whoever is to check signatures."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def is_signed(public_pem: str, message: bytes, signature: bytes) -> bool:
    """Say whether the holder of the key has signed this.

    Raises:
        SigningKeyError: `public_pem` is no Ed25519 public key.
    """
    try:
        key = load_pem_public_key(public_pem.encode())
    except ValueError as error:
        raise SigningKeyError("The public key is not in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SigningKeyError("The public key is of another kind than Ed25519.")
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _made(path: Path) -> Ed25519PrivateKey:
    """Make a key and its file, whole or not at all; of two who try at once, both use the first one's."""
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path)
    except FileExistsError:
        return Signer.from_file(path)._key
    finally:
        partial.unlink()
    return key
