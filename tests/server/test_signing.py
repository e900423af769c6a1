"""server.signing: one key for its owner alone, and signatures that anybody can check."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.signing import KEY_FILE, Signer, SigningKeyError, canonical, is_signed, key_id_of


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first, second = Signer.of(folder), Signer.of(folder)

    assert first.public_key == second.public_key
    assert key_id_of(first.public_key) == first.key_id
    assert [(path.name, path.stat().st_mode & 0o777) for path in folder.iterdir()] == [(KEY_FILE, 0o600)]


def test_a_second_name_of_the_key_that_a_killed_process_left_does_not_stay(tmp_path: Path) -> None:
    made = Signer.of(tmp_path)
    os.link(tmp_path / KEY_FILE, tmp_path / f"{KEY_FILE}.0a1b2c3d")
    shutil.copy(tmp_path / KEY_FILE, tmp_path / f"{KEY_FILE}.20261129")

    read = Signer.read(tmp_path / KEY_FILE)
    assert (tmp_path / f"{KEY_FILE}.0a1b2c3d").exists(), "reading changes nothing"
    opened = Signer.of(tmp_path)

    assert made.key_id == read.key_id == opened.key_id
    assert {path.name for path in tmp_path.iterdir()} == {KEY_FILE, f"{KEY_FILE}.20261129"}, "a copy is somebody's"


def test_a_process_that_is_killed_while_it_makes_the_key_leaves_one_name_after_the_next(tmp_path: Path) -> None:
    code = """
import os, pathlib, sys
from server.signing import Signer
link = os.link
def killed(*names):
    link(*names)
    os.kill(os.getpid(), 9)
os.link = killed
Signer.of(pathlib.Path(sys.argv[1]))
"""
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert died.returncode == -9, "the trap was not reached"
    assert len(list(tmp_path.iterdir())) == 2

    Signer.of(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    code = """
import pathlib, resource, signal, sys
from server.signing import Signer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
Signer.of(pathlib.Path(sys.argv[1]))
"""
    failed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, capture_output=True, text=True)

    assert "OSError: [Errno 27]" in failed.stderr
    assert list(tmp_path.iterdir()) == []


def test_of_several_processes_that_make_the_key_at_once_one_has_its_way(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Signer.of(tmp_path).key_id, range(32)))

    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_signature_is_of_one_message_and_one_key(tmp_path: Path) -> None:
    ours, theirs = Signer.of(tmp_path / "ours"), Signer.of(tmp_path / "theirs")
    signature = ours.sign(b"message")

    assert is_signed([theirs.public_key, ours.public_key], b"message", signature)
    assert not is_signed([theirs.public_key], b"message", signature)
    assert not is_signed([ours.public_key], b"massage", signature)
    assert not is_signed([ours.public_key], b"message", signature[:-1])
    assert not is_signed([], b"message", signature)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    Signer.of(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)

    with pytest.raises(SigningKeyError, match="chmod 600"):
        Signer.of(tmp_path)


def test_a_group_that_the_folder_was_given_to_may_read_the_key_and_nobody_else(tmp_path: Path) -> None:
    made = Signer.of(tmp_path)
    tmp_path.chmod(0o2770)
    (tmp_path / KEY_FILE).chmod(0o660)

    assert Signer.of(tmp_path).key_id == made.key_id
    (tmp_path / KEY_FILE).chmod(0o664)
    with pytest.raises(SigningKeyError, match="chmod 600"):
        Signer.of(tmp_path)


def test_what_is_no_key_of_this_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    path.touch(mode=0o600)
    path.write_text("nothing")
    with pytest.raises(SigningKeyError, match=r"signing-key\.pem is not a private key"):
        Signer.of(tmp_path)

    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SigningKeyError, match="not an Ed25519 key"):
        Signer.of(tmp_path)
    with pytest.raises(SigningKeyError, match="not a public key"):
        key_id_of("nothing")


def test_what_is_signed_has_one_spelling() -> None:
    assert canonical({"b": 1, "a": "ü"}) == canonical({"a": "ü", "b": 1}) == '{"a":"\\u00fc","b":1}'
