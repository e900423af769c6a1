"""Signatures of this installation: one Ed25519 key, in a file that nobody else can read."""

import base64
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

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

from server.storage import kept_private

KEY_FILE = "signing-key.pem"


class SigningKeyError(Exception):
    """A key that cannot be used; the message says which and why."""


class Signer:
    """Signs with the private key. May be used from any thread."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.key_id = key_id_of(self.public_key)

    @classmethod
    def of(cls, data_dir: Path) -> "Signer":
        """The key of a data directory, made at the first use. A second name that a killed maker has left it is removed.

        Raises:
            SigningKeyError: see `read`.
        """
        path = data_dir / KEY_FILE
        if not path.exists():
            _make_key(path)
        _sweep(path)
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> "Signer":
        """The key in a file, and no change to anything.

        Raises:
            SigningKeyError: the file holds something else, or others may read it; see `storage.kept_private`.
        """
        if not kept_private(path.stat(), path.parent.stat()):
            raise SigningKeyError(f"{path} may be read by others than its owner; `chmod 600` it.")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise SigningKeyError(f"{path} is not a private key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SigningKeyError(f"{path} is not an Ed25519 key.")
        return cls(key)

    @property
    def pem(self) -> bytes:
        """The private key as its file has it."""
        return _written(self._key)

    def sign(self, message: bytes) -> bytes:
        """64 bytes that `is_signed` accepts for this message and the public key."""
        return self._key.sign(message)

    def sign_text(self, text: str) -> str:
        """The signature of a text, in base64."""
        return base64.b64encode(self.sign(text.encode())).decode()


def is_signed(public_keys: Iterable[str], message: bytes, signature: bytes) -> bool:
    """Say whether the holder of one of the keys (PEM) has signed this.

    Raises:
        SigningKeyError: one of them is no Ed25519 public key.
    """
    return any(_is_signed(_public(public_key), message, signature) for public_key in public_keys)


def key_id_of(public_key: str) -> str:
    """The id of a public key (PEM): part of its digest.

    Raises:
        SigningKeyError: it is not one.
    """
    der = _public(public_key).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()[:16]


def canonical(value: object, *, is_sorted: bool = True) -> str:
    """JSON that is spelled in one way, as what is signed has to be: sorted names, no blanks, ASCII.

    Args:
        is_sorted: False leaves names in the order that they come in, as a part of what is said.
    """
    return json.dumps(value, sort_keys=is_sorted, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _is_signed(key: Ed25519PublicKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _public(public_key: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(public_key.encode())
    except ValueError as error:
        raise SigningKeyError(f"It is not a public key in PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SigningKeyError("It is not an Ed25519 key.")
    return key


def _written(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _make_key(path: Path) -> None:
    text = _written(Ed25519PrivateKey.generate())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first, whose key then holds
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    # What is this very file under another name; a copy that somebody keeps is another one.
    for beside in path.parent.glob(f"{path.name}.{'[0-9a-f]' * 8}"):
        with suppress(FileNotFoundError):  # another process was faster
            if beside.samefile(path):
                beside.unlink()
