"""`hrm-serve` as typed: what it prints where, its exit status, and that mistakes get words instead of tracebacks."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import time

import apsw
import pytest
import yaml

from hrm_model.config import HrmConfig
from retrieval.types import Recall
from server.audit.chain import AuditUnavailable, RecordOwed
from server.cli import in_words, main
from server.commands.recall import in_words as recall_in_words
from server.ledger import Ledger

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("HRM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def typed(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        said = capsys.readouterr()
        return status, said.out, said.err

    return typed


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """As much of a checkpoint as is read before anything is loaded."""
    config = HrmConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        layers_per_stack=1,
        num_heads=1,
        head_dim=64,
        max_position_embeddings=512,
        embedding_scale=8.0,
    )
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.to_json()))
    return folder


def test_help_lists_the_commands(run: Run) -> None:
    status, out, _ = run("--help")

    assert status == 0
    for command in (
        "serve",
        "ingest",
        "search",
        "delete",
        "stores",
        "recall",
        "keys",
        "purge",
        "erasures",
        "check-model",
        "train",
        "openapi",
        "samples",
    ):
        assert f"\n  {command} " in out


def test_the_samples_are_found_from_any_folder(run: Run) -> None:
    status, out, _ = run("samples")

    assert status == 0
    assert (Path(out.strip()) / "annual-leave.md").read_text().startswith("# ")


def test_serve_has_a_flag_for_each_setting(run: Run) -> None:
    from server.settings import Settings
    from server.settings_reading import dashed

    _, out, _ = run("serve", "--help")

    for name in Settings.model_fields:
        assert f"--{dashed(name)} " in out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["serve", "--prot", "9"], 2, "No such option: --prot"),
        (["serve", "--prot", "9"], 2, "--port"),
        (["serve", "--port", "99999"], 1, "hrm-serve: --port: Input should be less than or equal to 65535"),
        (["serve", "--model", "nowhere"], 1, "hrm-serve: nowhere/config.json: there is no such file"),
        (["serve", "--engine", "vllm"], 1, "hrm-serve: --engine: Input should be 'native' (it is vllm)."),
        (["ingets"], 2, "No such command 'ingets'"),
        (["ingest", "nowhere", "--store", "a"], 1, "hrm-serve: nowhere does not exist."),
        (["ingest", "."], 1, "hrm-serve: Name a store, as in --store handbook"),
        (["ingest", ".", "--store", "a"], 1, "hrm-serve: There are no files in what was named."),
        (
            ["ingest", ".", "--store", "a", "--read", "anna"],
            1,
            "hrm-serve: --read 'anna' is not user:x, group:y or '*'.",
        ),
        (["ingest", ".", "--store", "a\udcff"], 1, r"hrm-serve: The argument 'a\udcff' is not UTF-8."),
        (["search", "a\udcff"], 1, r"hrm-serve: The argument 'a\udcff' is not UTF-8."),
        (["delete", "a\udcff"], 1, r"hrm-serve: The argument 'a\udcff' is not UTF-8."),
        (["keys", "create", "--principal", "user:\udcff", "--role", "ask"], 1, r"'user:\udcff' is not UTF-8."),
        (["serve", "--host", "a\udcff"], 1, r"hrm-serve: The argument 'a\udcff' is not UTF-8."),
        (["search", "x", "-k", "0"], 2, "Invalid value for '-k'"),
        (["keys", "revoke", "key_nope"], 1, "hrm-serve: There is no key key_nope"),
        (
            ["keys", "create", "--principal", "anna", "--role", "ask"],
            1,
            "hrm-serve: 'anna' is not a name like user:anna",
        ),
        (["keys", "create", "--principal", "user:anna", "--role", "boss"], 1, "one or more of the roles admin, ingest"),
        (["keys", "create", "--principal", "user:anna"], 2, "Missing option '--role'"),
        (["keys", "create", "--principal", "user:anna", "--role", "ask", "--expires", "soon"], 1, "is not a duration"),
        (["keys", "create", "--principal", "user:anna", "--role", "ask", "--expires", "0d"], 1, "is not a duration"),
        (["check-model", "nowhere"], 1, "nowhere"),
        (["check-model", "nowhere", "--weights", "int2"], 2, "'int2' is not one of 'auto', 'int8', 'int4'"),
    ],
)
def test_a_mistake_is_explained_on_standard_error(run: Run, arguments: list[str], status: int, words: str) -> None:
    found, out, err = run(*arguments)

    assert (found, out) == (status, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "x", "--store", "nope"], "hrm-serve: No vector store found with id 'nope'."),
        (["search", "x"], "Nothing was found."),
        (["delete", "file-nope"], "refused: No file found with id 'file-nope'."),
        (["recall", "nope"], "hrm-serve: No vector store found with id 'nope'."),
        (["stores", "nope"], "hrm-serve: No vector store found with id 'nope'."),
    ],
)
def test_what_is_not_there_is_named(run: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "data").mkdir()

    status, out, err = run(*arguments)

    assert (status, out) == (1, "")
    assert words in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["stores"],
        ["search", "x"],
        ["delete", "x"],
        ["recall", "x"],
        ["keys", "list"],
        ["purge"],
        ["erasures", "list"],
        ["erasures", "key"],
    ],
)
def test_looking_makes_no_data_directory(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    _, out, err = run(*arguments)

    assert out == ""
    assert str(tmp_path / "data") in err
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_cannot_be_one_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    monkeypatch.setenv("HRM_DATA_DIR", "file")
    assert "hrm-serve: The data directory file is not a folder.\n" in run("stores")[2]
    monkeypatch.setenv("HRM_DATA_DIR", "file/below")
    said = run("keys", "create", "--principal", "user:anna", "--role", "ask")
    assert (said[0], said[2]) == (1, "hrm-serve: file/below lies below something that is not a folder.\n")
    monkeypatch.setenv("HRM_DATA_DIR", "a\udcff")
    assert run("stores")[2].startswith("hrm-serve: ")
    assert r"a\udcff" in run("stores")[2]


def test_the_systems_errors_are_put_in_words() -> None:
    read_only = in_words(OSError(errno.EROFS, os.strerror(errno.EROFS), "/backups/x"))

    said = "/backups/x cannot be written, as its file system is read-only: mount one there, or name another."
    assert read_only == said
    assert in_words(PermissionError(errno.EACCES, "Permission denied", "data")) == "data: Permission denied."


def test_a_log_that_cannot_be_written_is_told_with_what_that_means() -> None:
    assert in_words(AuditUnavailable("The audit log cannot be written: disk full")) == (
        "What cannot be recorded is not done. The audit log cannot be written: disk full."
    )
    assert in_words(RecordOwed("It may have been done. The audit log cannot be written: disk full")) == (
        "It may have been done. The audit log cannot be written: disk full."
    )


def test_a_misspelt_setting_stops_every_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_DATADIR", "elsewhere")

    status, _, err = run("keys", "list")

    assert status == 1
    assert "HRM_DATADIR in the environment is not a setting. Did you mean HRM_DATA_DIR?" in err


def test_a_server_for_other_hosts_needs_a_key_first(run: Run, checkpoint: Path) -> None:
    status, _, err = run("serve", "--host", "0.0.0.0", "--model", str(checkpoint))

    assert status == 1
    assert "hrm-serve: No API key exists, so the server listens on this machine only, not on 0.0.0.0." in err
    assert "hrm-serve keys create" in err


def test_a_first_key_that_is_missing_stops_the_start(run: Run, checkpoint: Path) -> None:
    status, _, err = run("serve", "--model", str(checkpoint), "--first-key-file", "secret")

    assert status == 1
    assert "HRM_FIRST_KEY_FILE names secret, which does not exist, and there is no API key yet." in err


def test_a_first_key_that_is_too_short_stops_the_start(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password\n")

    status, _, err = run("serve", "--model", str(checkpoint), "--first-key-file", "secret")

    assert status == 1
    assert "has 8 characters; it needs 32" in err


def test_a_key_prints_its_secret_alone_on_standard_output(run: Run) -> None:
    status, out, err = run("keys", "create", "--principal", "user:anna", "--role", "ask", "--expires", "30d")

    assert status == 0
    assert out.startswith("hrm_")
    assert len(out.split()) == 1
    assert "It is the first key" in err
    ledger = Ledger(Path("data/ledger.db"))
    key = ledger.keys.find(out.strip())
    ledger.close()
    assert key is not None
    assert key.principal == "user:anna"
    assert key.expires_at is not None
    assert abs(key.expires_at - time() - 30 * 86_400) < 60


def test_keys_are_listed_and_revoked_without_their_secrets(run: Run) -> None:
    _, secret, _ = run("keys", "create", "--principal", "user:anna", "--role", "ask", "--group", "group:hr")
    _, listed, _ = run("keys", "list")
    key_id, principal, groups, roles, state, *_ = listed.rstrip("\n").split("\t")

    assert (principal, groups, roles, state) == ("user:anna", "group:hr", "ask", "valid")
    assert secret.strip() not in listed

    status, out, _ = run("keys", "revoke", key_id)

    assert (status, out) == (0, f"{key_id} of user:anna is revoked.\n")
    assert "\trevoked\t" in run("keys", "list")[1]


def test_the_list_shows_limits_notes_and_how_long_an_old_secret_lives(run: Run) -> None:
    limits = ["--requests-per-minute", "60", "--max-tokens", "256"]
    run("keys", "create", "--principal", "user:anna", "--role", "ask", *limits, "--note", "the intranet")
    key_id, *_ = run("keys", "list")[1].split("\t")

    status, secret, said = run("keys", "rotate", key_id, "--overlap", "2d")
    _, listed, _ = run("keys", "list")

    assert status == 0
    assert secret.startswith("hrm_")
    assert f"{key_id} of user:anna has a new secret; the old one opens it too until" in said
    assert "\tvalid (old secret until " in listed
    assert listed.rstrip("\n").split("\t")[-2:] == ["requests_per_minute=60 max_tokens=256", "the intranet"]
    assert "the old one ended at once" in run("keys", "rotate", key_id, "--overlap", "0")[2]


@pytest.mark.parametrize(
    "given",
    [
        ["--principal", "user:" + "a" * 5_000],
        ["--principal", "user:\x1b[31manna"],
        ["--principal", "user:an\u202ena"],
        ["--principal", "user:anna", "--group", "group:\x9b31mhr"],
        ["--principal", "user:anna", "--group", "group:" + "a" * 5_000],
        ["--principal", "user:anna", "--note", "two\nlines"],
        ["--principal", "user:anna", "--note", "a" * 5_000],
        ["--principal", "user:anna", "--store", "a" * 5_000],
        ["--principal", "user:anna", "--model", "a" * 5_000],
    ],
)
def test_names_that_cannot_be_read_make_no_key(run: Run, given: list[str]) -> None:
    status, out, err = run("keys", "create", "--role", "ask", *given)

    assert (status, out) == (1, "")
    assert err.startswith("hrm-serve: ")
    assert err.strip().isprintable()
    assert len(err) < 400
    assert "There is no key" in run("keys", "list")[2]


@pytest.mark.parametrize("name", ["user:" + "a" * 5_000, "group:\x1b[31mhr"])
def test_names_that_cannot_be_read_are_given_no_store(run: Run, name: str) -> None:
    status, _, err = run("share", "desk", "--read", name)

    assert status == 1
    assert "is not user:x, group:y or '*'" in err
    assert err.strip().isprintable()
    assert len(err) < 400


def test_names_of_the_past_do_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    run("keys", "create", "--principal", "user:anna", "--role", "ask")
    database = apsw.Connection(str(tmp_path / "data" / "ledger.db"))
    database.execute("UPDATE keys SET principal = ?, note = ?", ("user:\x1b[31manna", "\x1b]0;title\x07"))
    (key,) = [row[0] for row in database.execute("SELECT id FROM keys")]

    for arguments in (["list"], ["rotate", key], ["revoke", key]):
        status, out, err = run("keys", *arguments)

        assert status == 0
        assert r"user:\x1b[31manna" in out + err
        assert "\x1b" not in out + err


def test_a_duration_of_more_than_a_century_makes_and_changes_no_key(run: Run) -> None:
    create = ["keys", "create", "--principal", "user:anna", "--role", "ask", "--expires"]

    assert run(*create, "999999w") == (1, "", "hrm-serve: 999999w is longer than 100 years.\n")
    assert "There is no key in" in run("keys", "list")[2]
    assert run(*create, "5217w")[0] == 0
    key_id, *_ = run("keys", "list")[1].split("\t")
    assert run("keys", "rotate", key_id, "--overlap", "999999w")[0] == 1
    assert "\tvalid\t" in run("keys", "list")[1]


def test_a_key_that_lives_longer_than_dates_go_is_listed(run: Run, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "data" / "ledger.db")
    ledger.keys.create(principal="user:anna", roles=["ask"], expires_in_s=999_999 * 604_800)
    ledger.close()

    status, listed, _ = run("keys", "list")

    assert status == 0
    assert listed.split("\t")[6] == "after the year 9999"


def test_a_key_for_what_does_not_exist_is_made_with_a_warning(run: Run, tmp_path: Path) -> None:
    (tmp_path / "desk.txt").write_text("Marta Velin leads the claims desk.")
    assert run("ingest", "desk.txt", "--store", "desk")[0] == 0
    (store_id,) = (row.split("\t")[0] for row in run("stores")[1].splitlines())
    bundled = "hrm-text-mini"

    def made(*limits: str) -> list[str]:
        """The warnings."""
        status, secret, said = run("keys", "create", "--principal", "user:anna", "--role", "ask", *limits)
        assert (status, bool(secret.strip())) == (0, True)
        return [line for line in said.splitlines() if line.startswith("Warning: ")]

    assert made() == []
    assert made("--store", "desk", "--store", store_id, "--model", bundled, "--model", f"{bundled}@desk") == []
    assert made("--model", f"{bundled}@none") == []
    said = made("--store", "deks", "--model", "nosuch", "--model", f"{bundled}@nowhere")
    assert said == [
        f"Warning: there is no model nosuch at present; the settings name {bundled}.",
        "Warning: there is no store deks at present; `hrm-serve stores` lists those there are.",
        "Warning: there is no store nowhere at present; `hrm-serve stores` lists those there are.",
    ]


def test_a_key_is_made_where_stores_cannot_be_looked_at_and_where_there_are_none(run: Run, tmp_path: Path) -> None:
    asked = ("keys", "create", "--principal", "user:anna", "--role", "ask", "--store", "desk")
    assert "there is no store desk at present" in run(*asked)[2]
    (data,) = (path.parent for path in tmp_path.rglob("ledger.db"))
    assert not (data / "store.db").exists(), "looking makes none"

    (data / "store.db").write_bytes(b"no database" * 1000)
    status, secret, said = run(*asked)

    assert (status, bool(secret.strip())) == (0, True)
    assert "cannot be told at present" in said


def test_an_empty_list_of_keys_says_what_that_means(run: Run) -> None:
    status, out, err = run("keys", "list")

    assert (status, out) == (0, "")
    assert "answers everyone on this machine, and nobody else" in err


def test_documents_are_taken_in_found_listed_and_deleted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("hidden")
    (folder / "deep" / "parrots.md").write_text("# Parrots\n\nThe office parrot is called Bellamy.\n")
    (folder / "tea.txt").write_text("Tea is served at four.\n")

    status, out, _ = run("ingest", "papers", "--store", "notes", "--read", "*")

    assert status == 0
    assert out.startswith("2 new in notes (2 chunks), 0 unchanged, 0 refused; ")
    assert run("ingest", "papers", "--store", "notes")[1].startswith("0 new in notes (0 chunks), 2 unchanged")

    status, out, _ = run("search", "What is the parrot's name?", "--store", "notes", "-k", "1")

    assert status == 0
    first, file_id, text = out.splitlines()[:3]
    assert first.startswith("1. ")
    assert "parrots.md:" in first
    assert "Bellamy" in text
    store = run("stores")[1].split("\t")
    assert (store[0], store[2], store[4]) == ("notes", "2", "*")
    assert [line.split("\t")[0] for line in run("stores", "notes")[1].splitlines()] == ["parrots.md", "tea.txt"]

    status, out, _ = run("delete", file_id.strip())

    assert (status, out) == (0, f"{file_id.strip()} is deleted.\n")
    assert "Bellamy" not in run("search", "What is the parrot's name?")[1]


def test_a_search_leaves_out_what_scores_too_low(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tea.txt").write_text("Tea is served at four.\n")
    run("ingest", "tea.txt", "--store", "notes")
    assert run("search", "tea", "--store", "notes")[0] == 0

    monkeypatch.setenv("HRM_SCORE_THRESHOLD", "1")

    assert run("search", "tea", "--store", "notes")[2] == "Nothing was found.\n"


def test_personal_data_is_redacted_where_the_store_is_made_for_that(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is at four. Ask ann@mail.example.")

    status, out, _ = run("ingest", "tea.txt", "--store", "notes", "--personal-data", "redact")
    other, _, err = run("ingest", "tea.txt", "--store", "notes", "--personal-data", "off")

    assert status == 0
    assert "personal data in them: 1 email" in out
    assert "Ask [E-MAIL]." in run("search", "tea", "--store", "notes")[1]
    assert other == 1
    assert "its policy for personal data is redact, not off" in err


def test_a_store_is_made_with_the_index_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is at four.")

    status, _, _ = run("ingest", "tea.txt", "--store", "notes", "--index", "hnsw")
    other, _, err = run("ingest", "tea.txt", "--store", "notes", "--index", "exact")

    assert status == 0
    assert other == 1
    assert "its index is hnsw, not exact" in err
    assert "Tea is at four." in run("search", "tea", "--store", "notes")[1]


def test_recall_of_a_small_store_says_that_it_is_exact(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is at four.")
    (tmp_path / "none.txt").write_text("\n")
    run("ingest", "tea.txt", "--store", "notes")

    status, out, _ = run("recall", "notes")
    empty, _, err = run("recall", "notes", "--questions", "none.txt")

    assert (status, out) == (0, "1 chunks: so few are always looked at one by one, which is exact and as fast.\n")
    assert empty == 1
    assert "none.txt holds no questions" in err


def test_recall_is_told_with_what_it_was_measured_on() -> None:
    said = recall_in_words(Recall(20_000, 200, 0.9965, 1.44, 2.8))

    assert said == [
        "recall@10 0.997 over 200 questions, 20000 chunks",
        "by graph 1.4 ms, exactly 2.8 ms (median, the index alone)",
    ]


def test_what_is_deleted_is_purged_and_proven(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is served at four in the conservatory.\n")
    run("ingest", "tea.txt", "--store", "notes")
    file_id = run("stores", "notes")[1].split("\t")[1]
    assert run("purge")[:2] == (0, "Nothing was removed since the last purge.\n")
    run("delete", file_id)
    listed = run("erasures", "list")[1].split("\t")
    assert (listed[1], listed[2], listed[4]) == (file_id, "certified", "user:local")

    status, shown, _ = run("erasures", "show", listed[0])
    (tmp_path / "proof.json").write_text(shown)
    (tmp_path / "key.pem").write_text(run("erasures", "key")[1])

    assert status == 0
    said = run("erasures", "verify", "proof.json")[1]
    assert said.startswith(f"Valid: {file_id} was erased, as user:local asked on ")
    assert run("erasures", "verify", "proof.json", "--key", "key.pem")[1] == said
    (tmp_path / "proof.json").write_text(shown.replace(file_id, "file-other"))
    assert "hrm-serve: The signature does not match" in run("erasures", "verify", "proof.json")[2]
    assert all(b"conservatory" not in path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())


def test_what_keeps_a_removal_from_being_proven_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is served at four in the conservatory.\n")
    run("ingest", "tea.txt", "--store", "notes")
    file_id = run("stores", "notes")[1].split("\t")[1]
    (tmp_path / "data" / "copy").write_text("served at four in the conservatory")

    assert run("delete", file_id)[2] == "The proof waits: remains in copy; `hrm-serve purge` tries it again.\n"
    assert run("purge") == (
        1,
        "",
        "hrm-serve: Erasures stay pending: remains in copy. Run it again when that has changed.\n",
    )


def test_an_id_that_is_no_file_holds_up_no_other(run: Run, tmp_path: Path) -> None:
    for name in ("tea.txt", "cake.txt"):
        (tmp_path / name).write_text(f"{name} is in the conservatory.\n")
    run("ingest", "tea.txt", "cake.txt", "--store", "notes")
    tea, cake = (line.split("\t")[1] for line in run("stores", "notes")[1].splitlines())

    status, out, err = run("delete", tea, "file-nope", cake)

    assert (status, out) == (1, f"{tea} is deleted.\n{cake} is deleted.\n")
    assert err == "refused: No file found with id 'file-nope'.\n"
    assert [line.split("\t")[1:3] for line in run("erasures", "list")[1].splitlines()] == [
        [tea, "certified"],
        [cake, "certified"],
    ]
    assert all(b"conservatory" not in path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())


def test_a_backup_is_restored_without_what_was_deleted_and_with_the_keys_of_today(run: Run, tmp_path: Path) -> None:
    for name, text in (("tea.txt", "Tea is served at four."), ("cake.txt", "Cake is a secret of the chef.")):
        (tmp_path / name).write_text(text)
    run("ingest", "tea.txt", "cake.txt", "--store", "notes")
    run("keys", "create", "--principal", "user:anna", "--role", "ask")
    status, out, _ = run("backup", "copies/monday")
    assert status == 0
    assert out.startswith("5 files, ")
    (cake,) = [line.split("\t")[1] for line in run("stores", "notes")[1].splitlines() if line.startswith("cake")]
    run("delete", cake)
    run("keys", "revoke", run("keys", "list")[1].split("\t")[0])

    status, _, err = run("restore", "copies/monday")
    assert (status, err.count("--replace")) == (1, 1)
    status, out, err = run("restore", "copies/monday", "--replace")

    assert status == 0
    assert "access withdrawn since is open again" in err
    assert out.startswith("1 documents as of ")
    assert out.endswith("; 1 erased since were left out.\n")
    assert [line.split("\t")[0] for line in run("stores", "notes")[1].splitlines()] == ["tea.txt"]
    assert "\trevoked\t" in run("keys", "list")[1]
    assert run("purge")[0] == 0
    reasons = [line.split("\t")[2:4] for line in run("erasures", "list")[1].splitlines()]
    assert reasons == [["certified", "deleted"], ["certified", "replayed"]]
    assert all(b"the chef" not in path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())

    assert run("restore", "copies/monday", "--data-dir", "elsewhere")[0] == 0
    assert len(run("stores", "notes", "--data-dir", "elsewhere")[1].splitlines()) == 2
    assert "\tvalid\t" in run("keys", "list", "--data-dir", "elsewhere")[1]


def test_what_is_computed_can_be_computed_anew(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is served at four.")
    run("ingest", "tea.txt", "--store", "notes")

    assert run("reindex")[:2] == (0, "Words and snapshots anew.\n")

    assert "Tea is served" in run("search", "When is tea?")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["restore", "nowhere"], "nowhere: its manifest.json cannot be read"),
        (["backup", "tea.txt"], "tea.txt: there is something already"),
        (["backup", "data/monday"], "data/monday is in the data directory"),
        (["erasures", "show", "erasure_x"], "There is no erasure erasure_x"),
        (["erasures", "verify", "nowhere.json"], "nowhere.json: No such file"),
        (["erasures", "verify", "tea.txt"], "tea.txt is not a certificate"),
        (["erasures", "verify", "empty.json"], "It is not a certificate of erasure"),
        (["erasures", "verify", "empty.json", "--key", "tea.txt"], "It is not a public key in PEM"),
    ],
)
def test_what_is_no_proof_is_named(run: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "tea.txt").write_bytes(b"Tea \xff")
    (tmp_path / "empty.json").write_text("{}")

    status, out, err = run(*arguments)

    assert (status, out) == (1, "")
    assert words in err
    assert "Traceback" not in err


def test_a_ledger_that_another_process_holds_is_said_without_a_traceback(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is served at four.")
    run("ingest", "tea.txt", "--store", "notes")
    run("keys", "create", "--principal", "user:anna", "--role", "ask")
    other = apsw.Connection(str(tmp_path / "data" / "ledger.db"))
    other.execute("BEGIN IMMEDIATE")

    status, _, err = run("delete", run("stores", "notes")[1].split("\t")[1])

    other.close()
    assert (status, err) == (1, "hrm-serve: The ledger or the audit log cannot be used: database is locked.\n")


def test_a_store_is_shared_and_shared_otherwise(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is served at four.\n")
    run("ingest", "tea.txt", "--store", "notes", "--read", "*")

    assert run("share", "notes", "--read", "user:ann", "--read", "group:hr", "--write", "user:ann") == (
        0,
        "notes: user:local group:hr user:ann may read\nnotes: user:local user:ann may write\n",
        "",
    )
    assert run("stores")[1].split("\t")[4] == "group:hr user:ann"
    assert run("share", "notes")[1] == "notes: user:local may read\nnotes: user:local may write\n"
    assert run("share", "nothing") == (1, "", "hrm-serve: No vector store found with id 'nothing'.\n")
    assert run("share", "notes", "--write", "ann") == (
        1,
        "",
        "hrm-serve: --write 'ann' is not user:x, group:y or '*'.\n",
    )


def test_files_of_other_formats_are_named_and_fail_the_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tea.txt").write_text("Tea is served at four.\n")
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.7")

    status, out, err = run("ingest", "tea.txt", "scan.pdf", "--store", "notes")

    assert status == 1
    assert out.startswith("1 new in notes (1 chunks), 0 unchanged, 1 refused; ")
    assert "refused: scan.pdf: " in err
    assert "PDF" in err


def test_odd_files_are_refused_by_name_and_the_others_taken_in_once(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mix"
    folder.mkdir()
    for name in ("a.txt", "b.txt", "bad\udcffname.txt"):
        (folder / name).write_text("Tea is served at four.\n")
    (folder / "two\nlines\x1b[2J.txt").write_text("Supper is at eight.\n")
    os.mkfifo(folder / "pipe.txt")

    status, out, err = run("ingest", "mix", "--store", "notes", "--read", "*")

    assert status == 1
    assert out.startswith("2 new in notes (2 chunks), 1 unchanged, 2 refused; ")
    assert r"refused: 'mix/bad\udcffname.txt': its name is not UTF-8" in err
    assert "refused: mix/pipe.txt: it is not a regular file" in err
    assert len(run("stores", "notes")[1].splitlines()) == 2
    assert r"two\nlines\x1b[2J.txt" in run("stores", "notes")[1]

    status, _, err = run("ingest", "mix", "--store", "notes", "--read", "group:hr")

    assert status == 1
    assert "hrm-serve: The store notes exists, and `ingest` does not change who may read it: * may" in err
    assert "--read says group:hr" in err


def test_a_store_that_nothing_was_taken_into_does_not_stay(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin.txt").write_bytes(b"Gr\xfc\xdfe")

    status, out, _ = run("ingest", "empty.txt", "latin.txt", "--store", "typo")

    assert (status, out[:6]) == (1, "0 new ")
    assert run("stores")[1:] == ("", f"There is no store in {tmp_path / 'data'}.\n")


def test_the_description_of_the_api_is_printed_as_yaml(run: Run) -> None:
    status, out, _ = run("openapi")

    assert status == 0
    assert "/v1/chat/completions" in yaml.safe_load(out)["paths"]


def test_the_command_line_loads_nothing_that_a_command_may_not_need() -> None:
    heavy = {
        "torch",
        "numpy",
        "faiss",
        "tokenizers",
        "transformers",
        "sentence_transformers",
        "fastapi",
        "uvicorn",
        "prometheus_client",
    }
    code = (
        "import sys; from server.cli import main; status = main(['--help']); "
        "print(*sys.modules, file=sys.stderr); sys.exit(status)"
    )

    helped = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )

    assert "serve" in helped.stdout
    assert "server.cli" in helped.stderr.split()
    assert not heavy & set(helped.stderr.split())
