"""`hrm-serve doctor`: each thing that can be wrong, broken for real, is found and told with what to do about it."""

import asyncio
import json
import shutil
import socket
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from retrieval.checkup import check_up
from retrieval.embedder import MiniLM
from retrieval.opening import open_library
from server.building.records import open_audit, opened_ledger
from server.cli import main
from server.doctor import examine
from server.finding import Finding
from server.settings import Settings
from tests.authority import Authority
from tests.fakes.serving import OWNER
from tests.identity_provider import AUDIENCE, ISSUER, Provider


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, embedder: MiniLM) -> Path:
    """A data directory that has been used."""
    folder = tmp_path_factory.mktemp("used") / "data"
    folder.mkdir(mode=0o700)
    settings = Settings(data_dir=folder)
    with opened_ledger(settings) as ledger:
        audit = open_audit(settings, ledger)
        for number in range(3):
            audit.append({"event": "act", "number": number}, {})
        audit.close()

    async def ingest() -> None:
        async with open_library(folder, embedder) as library:
            await library.ingest(leave, store="handbook", reader=OWNER)

    leave = folder.with_name("leave.txt")
    leave.write_text("Leave is 28 days.")
    asyncio.run(ingest())
    return folder


@pytest.fixture
def data(used: Path, tmp_path: Path) -> Path:
    """One to break."""
    return shutil.copytree(used, tmp_path / "data")


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the compiled step was built, which tests of all else should not depend on."""
    monkeypatch.setattr("hrm_model.check.lack", lambda: None)


def examined(folder: Path, **settings: object) -> list[Finding]:
    return list(examine(Settings(data_dir=folder, port=0, **settings)))  # type: ignore[arg-type]


def wrong(folder: Path, **settings: object) -> list[tuple[str, str, str]]:
    """What is not well: about what, how bad, and in which words, with what to do."""
    found = examined(folder, **settings)
    assert all(finding.todo for finding in found if finding.level != "ok"), "advice is what a doctor is for"
    return [(one.about, one.level, f"{one.said} -> {one.todo}") for one in found if one.level != "ok"]


def change(path: Path, sql: str) -> None:
    with closing(apsw.Connection(str(path))) as db:
        db.execute(sql)


def test_a_sound_installation_has_nothing_wrong_and_is_left_as_it_is(data: Path) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file() and not path.name.endswith("-shm")}

    found = examined(data)

    assert [finding.level for finding in found] == ["ok"] * len(found)
    assert {finding.about for finding in found} >= {
        *("data directory", "store", "index", "ledger", "audit log", "memory", "threads", "port", "SQLite")
    }
    after = {path: path.read_bytes() for path in before}
    assert after == before


def test_a_fresh_installation_is_well(tmp_path: Path) -> None:
    assert wrong(tmp_path / "data") == [
        ("data directory", "warning", f"{tmp_path / 'data'} does not exist -> the first start makes it")
    ]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["store.db", "ledger.db", "audit.db"])
def test_a_database_that_is_none_is_an_error(data: Path, name: str) -> None:
    for log in data.glob(f"{name}-*"):
        log.unlink()
    (data / name).write_bytes(b"not a database, but long enough to be looked at" * 100)

    found = wrong(data)

    assert found
    assert {level for _, level, _ in found} == {"error"}
    assert all(name in said and "restore" in said for _, _, said in found[:1])


@pytest.mark.parametrize("name", ["store.db", "ledger.db", "audit.db"])
@pytest.mark.parametrize(("version", "level"), [(99, "error"), (0, "warning")])
def test_a_schema_of_another_version_is_named(data: Path, name: str, version: int, level: str) -> None:
    change(data / name, f"PRAGMA user_version = {version}")

    ((about, found, said),) = wrong(data)

    assert (about, found) == ("schema", level)
    assert said.startswith(f"{name} is of version {version}, and this program's is ")


def test_vectors_of_another_embedder_need_a_reindex(data: Path) -> None:
    change(data / "store.db", "UPDATE meta SET value = 'other@sha256:1' WHERE key = 'embedder'")

    ((about, level, said),) = wrong(data)

    assert (about, level) == ("embedder", "error")
    assert "other@sha256:1" in said
    assert said.endswith("run: hrm-serve reindex")


def test_files_that_nobody_reads_are_told(data: Path) -> None:
    change(data / "store.db", "UPDATE jobs SET status = 'queued'")

    ((about, level, said),) = wrong(data)

    assert (about, level) == ("store", "warning")
    assert said.startswith("1 files wait to be read, and no process reads -> start the server")


def test_who_reads_files_is_told(data: Path) -> None:
    change(data / "store.db", "INSERT INTO lease VALUES (1, 'host:4711', 99999999999)")

    assert any("process host:4711 reads files" in finding.said for finding in examined(data))
    assert check_up(data).reader == "host:4711"


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_damaged_index_is_told(data: Path, is_gone: bool) -> None:
    (block, *_) = (data / "index").glob("*.faiss")
    if is_gone:
        block.unlink()
    else:
        *rest, last = block.read_bytes()
        block.write_bytes(bytes([*rest, last ^ 1]))

    ((about, level, said),) = wrong(data)

    assert (about, level) == ("index", "warning")
    assert block.name in said


def test_a_store_that_is_older_than_its_index_is_told(data: Path) -> None:
    change(data / "store.db", "DELETE FROM generations")

    ((about, level, said),) = wrong(data)

    assert (about, level) == ("index", "warning")
    assert "ahead of the store" in said


def test_a_changed_record_at_the_end_of_the_audit_log_is_an_error(data: Path) -> None:
    change(data / "audit.db", "UPDATE audit SET record = replace(record, '2', '3') WHERE number = 3")

    ((about, level, said),) = wrong(data)

    assert (about, level) == ("audit log", "error")
    assert said.startswith("Record 3 is not what it was")


def test_a_signing_key_that_others_may_read_is_an_error(data: Path) -> None:
    (data / "signing-key.pem").chmod(0o644)

    assert [(about, level) for about, level, _ in wrong(data)] == [("signing key", "error")]


def test_a_signing_key_that_is_none_is_an_error(data: Path) -> None:
    (data / "signing-key.pem").write_text("rubbish")

    ((about, level, said),) = wrong(data)
    assert (about, level) == ("signing key", "error")
    assert "is not a private key" in said


def test_secrets_and_keys_that_a_start_would_refuse_are_errors(data: Path, tmp_path: Path) -> None:
    nowhere, short = tmp_path / "nowhere", tmp_path / "short"
    short.write_text("short")
    short.chmod(0o600)
    tokens = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_file": nowhere}

    found = [
        *wrong(data, audit_content_key_file=nowhere),
        *wrong(data, audit_content_key_file=short),
        *wrong(data, first_key_file=nowhere),
        *wrong(data, first_key_file=short),
        *wrong(data, **tokens),
    ]

    assert [(about, level) for about, level, _ in found] == [
        *[("content key", "error")] * 2,
        *[("first key", "error")] * 2,
        ("identity provider", "error"),
    ]


def test_secrets_that_others_may_read_are_told(data: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s" * 40)
    given = {"audit_content_key_file": secret, "first_key_file": secret}
    secret.chmod(0o644)

    open_to_others = wrong(data, **given)
    secret.chmod(0o600)

    assert [(about, level) for about, level, _ in open_to_others] == [
        ("first key", "warning"),
        ("content key", "warning"),
    ]
    assert all(str(secret) in said for _, _, said in open_to_others)
    assert wrong(data, **given) == []


def test_a_record_that_is_no_text_is_an_error(data: Path) -> None:
    change(data / "audit.db", "UPDATE audit SET record = CAST(x'ff' AS TEXT) WHERE number = 3")

    assert [(about, level) for about, level, _ in wrong(data)] == [("audit log", "error")]


def test_a_damaged_public_key_is_named_and_what_comes_after_is_looked_at(data: Path) -> None:
    change(data / "ledger.db", "UPDATE signing_keys SET public_key = 'x'")

    ((about, level, said),) = wrong(data)

    assert (about, level) == ("signing keys", "error")
    assert "restore ledger.db" in said
    assert "SQLite" in [finding.about for finding in examined(data)]


def test_a_ledger_that_is_gone_is_not_laid_at_the_audit_logs_door(data: Path) -> None:
    (data / "ledger.db").unlink()

    ((about, level, said),) = wrong(data)

    assert (about, level) == ("audit log", "error")
    assert "restore ledger.db from a backup; audit.db may be sound" in said


def test_a_full_disk_and_an_open_directory_are_told(data: Path) -> None:
    assert [about for about, _, said in wrong(data, min_free_bytes=1 << 60) if "disk is full" in said] == [
        "data directory"
    ]
    data.chmod(0o755)

    assert wrong(data) == [("data directory", "warning", f"others may look into {data} -> chmod 700 {data}")]


def test_a_volume_that_an_orchestrator_gave_to_a_group_keeps_that_mark(data: Path) -> None:
    data.chmod(0o2775)

    advice = f"chmod o-rwx {data}, as its owner: any other mode has the next mount open every file to the group"
    assert wrong(data) == [("data directory", "warning", f"others may look into {data} -> {advice}")]
    data.chmod(0o2770)
    (data / "signing-key.pem").chmod(0o660)
    assert wrong(data) == []


def test_an_exposed_server_without_key_and_without_tls_is_told(data: Path) -> None:
    found = wrong(data, host="0.0.0.0")

    assert [(about, level) for about, level, _ in found] == [("ledger", "error"), ("TLS", "warning")]
    assert "keys create" in found[0][2]


def test_a_server_that_an_identity_provider_guards_needs_no_key(data: Path, tmp_path: Path) -> None:
    jwks = Provider().publish(tmp_path / "jwks.json")

    found = wrong(data, host="0.0.0.0", oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks_file=jwks)

    assert [about for about, _, _ in found] == ["TLS"]


@pytest.fixture
def no_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that trusts nobody, as an image without the package of certificates; its empty folder for them."""
    folder = tmp_path / "certs"
    folder.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    return folder


def test_a_provider_whose_certificate_nobody_vouches_for_is_told(
    data: Path, no_authorities: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_url": "https://login.example/keys"}

    ((about, level, said),) = wrong(data, **asked)
    assert (about, level) == ("identity provider", "error")
    assert "trusts no authority" in said
    assert "HRM_OIDC_CA_FILE" in said
    assert wrong(data, **asked, oidc_ca_file=authority.certificate) == []

    (no_authorities / "1a2b3c4d.0").symlink_to(authority.certificate)
    assert wrong(data, **asked) == [], "what lies there is read when it is needed"
    monkeypatch.setenv("SSL_CERT_DIR", f"{data / 'nowhere'}:{no_authorities}")
    assert wrong(data, **asked) == [], "there may be several places"


def test_a_default_store_that_is_not_there_is_told(data: Path) -> None:
    assert wrong(data, default_store="handbook") == []

    ((about, level, said),) = wrong(data, default_store="handbok")
    assert (about, level) == ("default store", "error")
    assert said.startswith("there is no store handbok")


def test_spans_that_nothing_can_send_are_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong(data, otel_endpoint="http://127.0.0.1:4318") == []
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "server.otel", raising=False)

    ((about, level, said),) = wrong(data, otel_endpoint="http://127.0.0.1:4318")
    assert (about, level) == ("tracing", "error")
    assert "pip install 'hrm-serve[otel]'" in said


def test_keys_that_all_have_ended_are_a_problem_where_others_are_to_come_in(data: Path, tmp_path: Path) -> None:
    with opened_ledger(Settings(data_dir=data)) as ledger:
        revoked, _ = ledger.keys.create(principal="user:anna", roles=["ask"])
        ledger.keys.revoke(revoked.key_id)
        expired, _ = ledger.keys.create(principal="user:bob", roles=["ask"], expires_in_s=90)
    database = apsw.Connection(str(data / "ledger.db"))
    database.execute("UPDATE keys SET expires_at = created_at - 1 WHERE id = ?", (expired.key_id,))
    said = "none of the 2 keys opens anything any more, as each is revoked or has expired: nobody can get in"
    todo = "hrm-serve keys create --principal user:you --role admin"

    assert wrong(data) == [("ledger", "warning", f"{said} -> {todo}")]
    assert ("ledger", "error", f"{said} -> {todo}") in wrong(data, host="0.0.0.0")
    jwks = Provider().publish(tmp_path / "jwks.json")
    assert wrong(data, oidc_issuer=ISSUER, oidc_audience=AUDIENCE, oidc_jwks_file=jwks) == [], "tokens open it"

    with opened_ledger(Settings(data_dir=data)) as ledger:
        ledger.keys.create(principal="user:anna", roles=["ask"])

    assert wrong(data) == []
    assert Finding("ledger", "ok", "3 keys, of which 1 is valid") in examined(data)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("lasts", "mode", "level", "said"),
    [
        (timedelta(days=-1), 0o600, "error", "ended on"),
        (timedelta(days=3), 0o600, "warning", "ends on"),
        (timedelta(days=60), 0o644, "warning", "others may read"),
    ],
)
def test_an_old_certificate_and_an_open_key_are_told(
    data: Path, authority: Authority, lasts: timedelta, mode: int, level: str, said: str
) -> None:
    pair = authority.issue("server", lasts=lasts)
    pair.key.chmod(mode)

    ((about, found, words),) = wrong(data, tls_certificate=pair.certificate, tls_key=pair.key)

    assert (about, found) == ("TLS", level)
    assert said in words


def test_a_key_that_an_orchestrator_opens_to_the_server_s_group_is_in_order(data: Path, authority: Authority) -> None:
    pair = authority.issue("server")
    pair.key.chmod(0o640)
    pair.key.parent.chmod(0o2770)  # as it does to each volume that it gives to a group

    assert wrong(data, tls_certificate=pair.certificate, tls_key=pair.key) == []


def test_tls_files_that_do_not_belong_together_are_an_error(data: Path, authority: Authority) -> None:
    pair, other = authority.issue("server"), authority.issue("other")

    ((about, level, said),) = wrong(data, tls_certificate=pair.certificate, tls_key=other.key)

    assert (about, level) == ("TLS", "error")
    assert "the key is not the certificate's" in said


def test_a_taken_port_is_a_warning_since_it_may_be_the_server(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = list(examine(Settings(data_dir=data, port=port)))

    assert [(one.about, one.level) for one in found if one.level != "ok"] == [("port", "warning")]


def test_the_metrics_own_port_is_looked_at_and_said_to_be_open_where_it_is(data: Path) -> None:
    assert [one.said for one in examined(data, metrics_listen="127.0.0.1:0") if one.about == "metrics"] == [
        "127.0.0.1 port 0 is free"
    ]
    ((about, level, said),) = wrong(data, metrics_listen="0.0.0.0:0")

    assert (about, level) == ("metrics", "warning")
    assert said.startswith("whoever can reach 0.0.0.0:0 reads them, without a key")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ((about, level, said),) = wrong(data, metrics_listen=f"127.0.0.1:{taken.getsockname()[1]}")
    assert (about, level) == ("metrics", "warning")
    assert "Address already in use" in said


def test_a_model_that_is_none_and_a_cache_that_does_not_fit_are_errors(data: Path, tmp_path: Path) -> None:
    assert [(about, level) for about, level, _ in wrong(data, model=tmp_path / "nothing")] == [("model", "error")]
    ((about, level, said),) = wrong(data, kv_cache_bytes=1 << 50)

    assert (about, level) == ("memory", "error")
    assert "HRM_KV_CACHE_BYTES" in said


def test_answers_that_torch_alone_writes_are_a_warning_where_they_could_be_written_faster(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hrm_model.check.lack", lambda: "it was not built: its installation found no C compiler")

    ((about, level, said),) = wrong(data)

    assert (about, level) == ("compiled step", "warning")
    assert said.startswith("answers are written by torch alone, which is slower: it was not built")
    assert "with a C compiler" in said


def test_an_audit_log_that_is_off_is_a_warning(data: Path) -> None:
    assert [(about, level) for about, level, _ in wrong(data, audit="off")] == [("audit log", "warning")]


def test_the_command_prints_lines_for_people_and_json_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["doctor", "--data-dir", str(tmp_path), "--port", "0"]
    tmp_path.chmod(0o755)

    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main([*arguments, "--host", "0.0.0.0", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)

    assert f"!  data directory: others may look into {tmp_path} -> chmod 700 {tmp_path}" in lines
    assert {"about": "data directory", "level": "ok", "said": f"{tmp_path} can be written", "todo": ""} in found
    assert [one["about"] for one in found if one["level"] == "error"] == ["ledger"]


def test_settings_that_cannot_be_used_are_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--port", "many"]) == 1

    assert capsys.readouterr().out.startswith("!! settings: --port:")
