"""Acts on the command line are in the chain of records: real commands, beside a running server and without one."""

import getpass
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.audit.log import AuditLog
from server.cli import main
from server.signing import Signer
from tests.e2e.served import ROOT, environment, hrm_serve, serving, write_checkpoint

WORDS = "Who leads the claims desk?"
# Run before a command: it ends as by `kill -9` when it is about to do what the name says.
KILLED_IN = """
import os, signal, sys
def stop(frame, event, _):
    if event == "call" and frame.f_code.co_qualname == {name!r}:
        os.kill(os.getpid(), signal.SIGKILL)
import threading
threading.setprofile(stop)
sys.setprofile(stop)
from server.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "hrm-tiny")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "desk.txt"
    path.write_text("Marta Velin leads the claims desk.")
    return path


def records(data: Path) -> list[dict[str, Any]]:
    log = AuditLog(data / "audit.db", Signer.of(data))
    found = [json.loads(entry.record) for entry in log.entries()]
    log.close()
    return found


def of_commands(data: Path) -> list[dict[str, Any]]:
    return [record for record in records(data) if str(record.get("route")).startswith("cli ")]


def done(data: Path, *arguments: str) -> str:
    said = hrm_serve(*arguments, "--data-dir", str(data))
    assert said.returncode == 0, said.stderr
    return said.stdout


def done_here(data: Path, *arguments: str) -> None:
    """Do it in this process, where being another one is not the point."""
    assert main([*arguments, "--data-dir", str(data)]) == 0


def killed_in(name: str, data: Path, *arguments: str) -> None:
    code = KILLED_IN.format(name=name)
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--data-dir", str(data)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def test_the_life_of_a_key_is_on_record_without_its_secret(tmp_path: Path) -> None:
    data = tmp_path / "data"
    rights = ("--role", "admin", "--group", "group:hr", "--max-tokens", "9", "--note", "the intranet")
    first = done(data, "keys", "create", "--principal", "user:anna", *rights).strip()
    key = records(data)[-1]["id"]
    second = done(data, "keys", "rotate", key).strip()
    done(data, "keys", "revoke", key)

    made, rotated, revoked = of_commands(data)
    assert [record["route"] for record in (made, rotated, revoked)] == [
        "cli keys create",
        "cli keys rotate",
        "cli keys revoke",
    ]
    for record in (made, rotated, revoked):
        assert (record["kind"], record["caller"], record["outcome"]) == ("admin", "user:local", "done")
        assert (record["os_user"], record["os_uid"]) == (getpass.getuser(), os.getuid())
        grants = record["grants"]
        assert (grants["principal"], grants["roles"], grants["groups"]) == ("user:anna", ["admin"], ["group:hr"])
        assert grants["limits"] == {"max_tokens": 9}
    assert [record["path"] for record in (rotated, revoked)] == [{"key": key}] * 2
    assert rotated["grants"] | {"roles": []} == revoked["grants"] | {"roles": []}
    file = (data / "audit.db").read_bytes()
    assert not any(secret.encode() in file for secret in (first, second, "the intranet"))
    assert done(data, "audit", "verify").startswith("3 records, all as they were written")


def test_beside_a_server_both_write_one_chain(tmp_path: Path, checkpoint: Path, document: Path) -> None:
    with serving(tmp_path, checkpoint) as served, httpx.Client(base_url=served.url, timeout=60) as client:
        upload = {"file": ("other.txt", b"The branch opens at nine.")}
        made = client.post("/v1/files", files=upload, data={"purpose": "assistants"})
        assert made.status_code == 200

        done(served.data, "ingest", str(document), "--store", "desk", "--read", "group:hr")
        found = done(served.data, "search", WORDS, "--store", "desk")
        file_id = found.splitlines()[1].strip()
        done(served.data, "share", "desk", "--read", "*")
        done(served.data, "delete", file_id)

        assert client.delete(f"/v1/files/{made.json()['id']}").status_code == 200
        assert served.command("audit", "verify").returncode == 0

    routes = [record["route"] for record in records(served.data)]
    commands = ["cli ingest", "cli ingest", "cli search", "cli share", "cli delete"]
    assert routes == ["POST /v1/files", *commands, "DELETE /v1/files/{file_id}"], "each once, whoever did the work"
    new, taken, searched, shared, deleted = of_commands(served.data)
    assert (new["path"], new["readers"]) == ({"store": "desk"}, ["group:hr"])
    assert [(file["id"], file["is_new"]) for file in taken["files"]] == [(file_id, True)]
    assert new["request"] == taken["request"]
    assert (searched["kind"], searched["searched"], len(searched["hashes"]["query"])) == ("search", ["desk"], 64)
    assert [(passage["rank"], passage["file"]) for passage in searched["passages"]] == [(1, file_id)]
    assert searched["searched_ids"] == [searched["passages"][0]["store"]]
    assert searched["generation"] > 0
    assert (shared["id"], shared["access"]) == (taken["path"]["store"], {"read": ["*"], "write": []})
    assert deleted["path"] == {"file_id": file_id}
    assert b"claims desk" not in (served.data / "audit.db").read_bytes()


def test_what_is_done_to_all_of_the_data_is_on_record(
    tmp_path: Path, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, copy, new = tmp_path / "data", tmp_path / "copy", tmp_path / "new"
    done_here(data, "ingest", str(document), "--store", "desk")
    done_here(data, "keys", "create", "--principal", "user:anna", "--role", "ask")
    done_here(data, "backup", str(copy))
    done_here(data, "reindex")
    done_here(data, "purge")
    done_here(data, "audit", "export", str(tmp_path / "log.jsonl"))
    done_here(data, "restore", str(copy), "--replace")
    done_here(new, "restore", str(copy))

    routes = [record["route"] for record in of_commands(data)][3:]
    assert routes == ["cli backup", "cli reindex", "cli purge", "cli audit export", "cli restore"]
    exported = of_commands(data)[-2]["exported"]
    assert exported["number"] == len(records(data)) - 2
    capsys.readouterr()
    done_here(data, "audit", "verify", "--head", str(tmp_path / "log.jsonl"))
    assert capsys.readouterr().out.startswith(f"{len(records(data))} ")

    assert [record["route"] for record in of_commands(new)][-1] == "cli restore"
    done_here(new, "audit", "verify")
    done_here(new, "keys", "list")
    assert "user:anna" in capsys.readouterr().out, "the backup's keys came along"
    assert [record["outcome"] for record in of_commands(new) if record["route"] == "cli backup"] == []
    done_here(new, "keys", "create", "--principal", "user:bob", "--role", "ask")
    (backup,) = [record for record in of_commands(new) if record["route"] == "cli backup"]
    assert backup["outcome"] == "cut off", "the copy was made before it was done"


@pytest.mark.parametrize(
    ("where", "route", "arguments"),
    [
        ("_add_secret", "cli keys create", ["keys", "create", "--principal", "user:anna", "--role", "admin"]),
        ("Reception.hand_in", "cli ingest", ["ingest", "DOCUMENT", "--store", "desk"]),
        ("Searcher.search", "cli search", ["search", WORDS]),
    ],
)
def test_a_command_that_is_killed_is_on_record_when_another_one_acts(
    tmp_path: Path, document: Path, where: str, route: str, arguments: list[str]
) -> None:
    data = tmp_path / "data"
    done_here(data, "keys", "create", "--principal", "user:first", "--role", "ask")

    killed_in(where, data, *[str(document) if word == "DOCUMENT" else word for word in arguments])
    assert [record["outcome"] for record in of_commands(data) if record["outcome"] != "done"] == []
    done_here(data, "keys", "create", "--principal", "user:bob", "--role", "ask")

    (cut,) = [record for record in of_commands(data) if record["outcome"] == "cut off"]
    assert (cut["route"], cut["caller"]) == (route, "user:local")
    if route == "cli keys create":
        assert cut["grants"]["principal"] == "user:anna"
    done_here(data, "audit", "verify")


def test_what_is_refused_is_on_record_and_words_in_it_are_hashed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done_here(data, "keys", "create", "--principal", "user:anna", "--role", "ask")

    assert main(["keys", "revoke", "key_of somebody", "--data-dir", str(data)]) == 1
    assert main(["delete", "file-" + "0" * 24, "--data-dir", str(data)]) == 1

    revoked, deleted = of_commands(data)[1:]
    assert (revoked["outcome"], revoked["path"], list(revoked["hashes"])) == ("refused", {"key": None}, ["key"])
    assert (deleted["outcome"], deleted["path"]) == ("refused", {"file_id": "file-" + "0" * 24})


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "create", "--principal", "user:bob", "--role", "admin"],
        ["ingest", "DOCUMENT", "--store", "desk"],
        ["search", WORDS],
    ],
)
def test_what_cannot_be_recorded_is_not_done(
    tmp_path: Path, document: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    data = tmp_path / "data"
    done_here(data, "keys", "create", "--principal", "user:anna", "--role", "ask")
    (data / "audit.db").write_bytes(b"no database" * 1000)
    for left in ("audit.db-wal", "audit.db-shm"):
        (data / left).unlink(missing_ok=True)

    typed = [str(document) if word == "DOCUMENT" else word for word in arguments]
    assert main([*typed, "--data-dir", str(data)]) == 1

    assert "audit.db cannot be used as the audit log" in capsys.readouterr().err
    assert main(["keys", "list", "--data-dir", str(data)]) == 0
    assert "user:bob" not in capsys.readouterr().out
    assert not (data / "store.db").exists()


def test_where_recording_is_off_commands_leave_no_record(
    tmp_path: Path, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("HRM_AUDIT", "off")

    assert main(["ingest", str(document), "--store", "desk", "--data-dir", str(data)]) == 0
    assert main(["keys", "create", "--principal", "user:anna", "--role", "ask", "--data-dir", str(data)]) == 0

    assert not (data / "audit.db").exists()


def test_where_recording_is_off_looking_into_the_log_adds_nothing_to_it(
    tmp_path: Path, document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    assert main(["ingest", str(document), "--store", "desk", "--data-dir", str(data)]) == 0
    with closing(AuditLog(data / "audit.db", Signer.of(data))) as log:
        log.begin({"request": "req_1", "outcome": "cut off"}, {})
        before = sum(1 for _ in log.entries())
    monkeypatch.setenv("HRM_AUDIT", "off")

    assert main(["audit", "export", str(tmp_path / "out.jsonl"), "--data-dir", str(data)]) == 0

    capsys.readouterr()
    with closing(AuditLog(data / "audit.db", Signer.of(data))) as log:
        assert (sum(1 for _ in log.entries()), log.under_way()) == (before, 1)


def test_the_first_key_out_of_a_file_is_on_record(tmp_path: Path, checkpoint: Path) -> None:
    secret = tmp_path / "first"
    secret.write_text("s" * 40)

    with serving(tmp_path, checkpoint, ["--first-key-file", str(secret)]) as served:
        assert served.ready() is None

    (made,) = records(served.data)
    assert (made["route"], made["grants"]["principal"], made["grants"]["roles"]) == (
        "cli serve, first key",
        "user:admin",
        ["admin"],
    )
    assert made["id"].startswith("key_")


@pytest.mark.parametrize("name", ["\x1b[31mroot", "x" * 5000])
def test_a_name_that_the_environment_made_up_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("LOGNAME", name)

    assert main(["keys", "create", "--principal", "user:anna", "--role", "ask", "--data-dir", str(data)]) == 0

    (made,) = of_commands(data)
    assert (made["os_user"], made["os_uid"]) == (None, os.getuid())
