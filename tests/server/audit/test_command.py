"""`hrm-serve audit`: what an auditor types, run as the command line runs it."""

import json
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from server.audit.chain import Entry
from server.audit.log import AuditLog
from server.cli import main
from server.signing import Signer
from server.upkeep import AUDIT


def filled(folder: Path, count: int = 4) -> AuditLog:
    log = AuditLog(folder / AUDIT, Signer.of(folder))
    for number in range(count):
        log.append({"kind": "answer", "request": f"req_{number}"}, {"question": "secret words"})
    return log


def run(folder: Path, *arguments: str) -> int:
    return main(["audit", *arguments, "--data-dir", str(folder)])


def test_a_whole_log_verifies_and_a_changed_one_names_its_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path).close()
    assert run(tmp_path, "verify") == 0
    assert capsys.readouterr().out.startswith("4 records, all as they were written")

    apsw.Connection(str(tmp_path / AUDIT)).execute("UPDATE audit SET record = record || ' ' WHERE number = 3")

    assert run(tmp_path, "verify") == 1
    assert "Record 3 is not what it was" in capsys.readouterr().err


def test_an_export_is_checked_elsewhere_and_keeps_the_log_from_being_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    away.mkdir()
    filled(data).close()
    assert run(data, "export", str(away / "log.jsonl")) == 0
    assert run(data, "public-key") == 0
    (away / "key.pem").write_text(capsys.readouterr().out)

    checked = ["audit", "verify-export", str(away / "log.jsonl"), "--public-key", str(away / "key.pem")]
    assert main(checked) == 0
    apsw.Connection(str(data / AUDIT)).execute(
        "DELETE FROM audit WHERE number > 2; DELETE FROM private WHERE number > 2"
    )
    assert run(data, "verify") == 0
    assert run(data, "verify", "--head", str(away / "log.jsonl")) == 1
    assert "Record 3 is missing" in capsys.readouterr().err

    lines = (away / "log.jsonl").read_text().splitlines()
    (away / "log.jsonl").write_text("\n".join([*lines[:1], lines[1].replace("req_1", "req_9"), *lines[2:], ""]))
    assert main(checked) == 1
    assert "Record 2" in capsys.readouterr().err


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_an_export_is_for_its_owner_alone_from_its_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    away.mkdir()
    filled(data).close()
    (away / "log.jsonl").write_text("of last week")
    (away / "log.jsonl").chmod(0o644)
    seen: list[int] = []
    entries = AuditLog.entries

    def watched(log: AuditLog) -> Iterator[Entry]:
        for entry in entries(log):
            seen.extend(file.stat().st_mode & 0o777 for file in away.iterdir() if file.name != "log.jsonl")
            yield entry

    monkeypatch.setattr(AuditLog, "entries", watched)
    assert run(data, "export", str(away / "log.jsonl")) == 0

    assert seen == [0o600] * 4
    (file,) = away.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().splitlines()) == 5


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    away.mkdir()
    filled(data).close()
    (away / "old.jsonl").write_text("of last week")
    apsw.Connection(str(data / AUDIT)).execute("UPDATE audit SET record = CAST(x'ff' AS TEXT) WHERE number = 3")

    assert run(data, "export", str(away / "new.jsonl")) == 1
    assert run(data, "export", str(away / "old.jsonl")) == 1

    assert "Record 3 cannot be read" in capsys.readouterr().err
    assert [file.read_text() for file in away.iterdir()] == ["of last week"]


@pytest.mark.parametrize("name", ["ledger.db", "audit.db", "new.jsonl", "files/new.jsonl"])
def test_an_export_never_takes_the_place_of_what_the_server_keeps(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, link = tmp_path / "data", tmp_path / "link"
    filled(data).close()
    (data / "ledger.db").write_bytes(b"keys")
    before = {path: path.read_bytes() for path in data.iterdir() if path.is_file()}
    link.symlink_to(data / name)

    assert run(data, "export", str(data / name)) == 1
    assert run(data, "export", str(link)) == 1

    assert "is in the data directory" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in data.iterdir() if path.is_file()} == before


def test_an_export_goes_into_a_pipe_and_through_a_link(tmp_path: Path) -> None:
    data = tmp_path / "data"
    filled(data).close()
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "target")
    (tmp_path / "target").write_text("of last week")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(pipe.read_text().splitlines()))
    reader.start()

    assert run(data, "export", str(pipe)) == 0
    assert run(data, "export", str(link)) == 0

    reader.join(timeout=60)
    assert len(read) == 5
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert len((tmp_path / "target").read_text().splitlines()) == 6, "one more: that of the first export"


def test_a_long_log_is_exported_in_pieces(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "log.jsonl"
    log = AuditLog(data / AUDIT, Signer.of(data), durability="async")
    for number in range(3_000):
        log.append({"request": f"req_{number}", "stores": ["vs_of_somebody"] * 500}, {})
    log.close()

    tracemalloc.start()
    try:
        assert run(data, "export", str(file)) == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < file.stat().st_size / 2


@pytest.mark.parametrize("rubbish", ["", "{}", "[1, 2]", '{"head": {"number": 1}}', "words"])
def test_what_is_no_export_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], rubbish: str) -> None:
    filled(tmp_path).close()
    (tmp_path / "log.jsonl").write_text(rubbish)

    assert run(tmp_path, "verify", "--head", str(tmp_path / "log.jsonl")) == 1
    assert "is no export" in capsys.readouterr().err


def test_the_records_of_a_request_are_shown_without_its_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path).close()

    assert run(tmp_path, "show", "req_2") == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["number"] == 3
    assert "secret words" not in shown
    assert run(tmp_path, "show", "req_unknown") == 1
    assert "no record of a request req_unknown" in capsys.readouterr().err


def test_what_is_shown_does_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = AuditLog(tmp_path / AUDIT, Signer.of(tmp_path))
    log.append({"request": "req_1", "caller": "user:\x9b31m\x1b[31manna\x7f"}, {})
    log.close()

    assert run(tmp_path, "show", "req_1") == 0

    shown = capsys.readouterr().out
    assert not set("\x7f\x9b\x1b") & set(shown)
    assert json.loads(shown)["caller"] == "user:\x9b31m\x1b[31manna\x7f"


def test_texts_are_shown_to_whoever_has_their_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("s" * 40)
    monkeypatch.setenv("HRM_AUDIT_CONTENT_KEY_FILE", str(tmp_path / "secret"))
    from server.building.records import open_audit, opened_ledger
    from server.settings import Settings

    settings = Settings.load({"data_dir": str(tmp_path / "data")})
    with opened_ledger(settings) as ledger:
        log = open_audit(settings, ledger)
        log.append({"request": "req_1"}, {"question": "secret words"})
        log.close()

    assert run(tmp_path / "data", "show", "req_1") == 0
    assert json.loads(capsys.readouterr().out)["texts"] == {"question": "secret words"}


def test_an_erasure_leaves_the_chain_whole_and_stands_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path).close()

    assert run(tmp_path, "erase", "req_2") == 0
    assert run(tmp_path, "verify") == 0
    assert "5 records, all as they were written" in capsys.readouterr().out
    assert run(tmp_path, "show", "req_2") == 0
    assert '"audit erase"' in capsys.readouterr().out
    assert run(tmp_path, "erase", "req_unknown") == 1


def test_what_a_killed_server_left_of_an_answer_is_erased_and_does_not_come_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = Signer.of(tmp_path)
    killed = AuditLog(tmp_path / AUDIT, signer, content_key=bytes(32))
    killed.begin({"request": "req_1", "caller": "user:anna"}, {"question": "secret words"})
    killed.close()

    assert run(tmp_path, "erase", "req_1") == 0
    later = AuditLog(tmp_path / AUDIT, signer, content_key=bytes(32))
    assert later.settle([signer.public_key]) == 0
    assert [(later.salt(entry.number), later.content(entry.number)) for entry in later.of_request("req_1")[:1]] == [
        (None, None)
    ]
    later.close()
    assert run(tmp_path, "verify") == 0


def test_what_is_under_way_is_said_not_to_be_erased(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = filled(tmp_path)
    for request in ("req_2", "req_9"):
        note = server.begin({"kind": "answer", "request": request}, {"question": "secret words"})

    assert run(tmp_path, "erase", "req_2") == 1
    said = capsys.readouterr()
    assert said.out.startswith("Salts and texts of 1 records of req_2 are erased")
    assert "1 answers or acts of req_2 are under way" in said.err
    assert run(tmp_path, "erase", "req_9") == 1
    assert "1 answers or acts of req_9 are under way" in capsys.readouterr().err

    server.append({"kind": "answer", "request": "req_9"}, {"question": "secret words"}, note=note)
    server.close()
    assert run(tmp_path, "erase", "req_9") == 0
    assert run(tmp_path, "erase", "req_2") == 0


def test_of_several_peoples_requests_with_one_id_the_one_that_is_meant_is_erased(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = AuditLog(tmp_path / AUDIT, Signer.of(tmp_path))
    for caller in ("user:anna", "user:bob"):
        log.append({"request": "shared", "caller": caller}, {"question": "secret words"})

    assert run(tmp_path, "erase", "shared") == 1
    assert "name one with --record (1 of user:anna, 2 of user:bob)" in capsys.readouterr().err
    assert run(tmp_path, "erase", "shared", "--record", "2") == 0

    assert [log.salt(number) is None for number in (1, 2)] == [False, True]
    assert run(tmp_path, "verify") == 0


def test_a_lost_key_is_replaced_and_what_it_signed_still_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path).close()
    assert run(tmp_path, "verify") == 0
    (tmp_path / "signing-key.pem").unlink()

    assert run(tmp_path, "erase", "req_2") == 0
    assert run(tmp_path, "verify") == 0
    capsys.readouterr()
    assert run(tmp_path, "public-key") == 0
    assert capsys.readouterr().out.count("BEGIN PUBLIC KEY") == 2


def test_a_backup_takes_the_log_along_and_a_restore_brings_it_where_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, backup, new = tmp_path / "data", tmp_path / "backup", tmp_path / "new"
    filled(data).close()
    assert main(["backup", str(backup), "--data-dir", str(data)]) == 0

    assert main(["restore", str(backup), "--data-dir", str(new)]) == 0
    capsys.readouterr()
    assert run(new, "verify") == 0, "the ledger that came along knows who has signed"
    assert capsys.readouterr().out.startswith("5 records"), "those of then, and that they were brought back"

    assert run(new, "erase", "req_0") == 0, "and what the backup had begun, its own act, is on record with it"
    assert main(["restore", str(backup), "--replace", "--data-dir", str(new)]) == 0
    capsys.readouterr()
    assert run(new, "verify") == 0
    assert capsys.readouterr().out.startswith("8 records"), "a log that is there is not set back"


def test_looking_makes_neither_a_log_nor_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "nothing", "verify") == 1

    assert "nothing has been recorded there" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()
