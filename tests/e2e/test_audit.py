"""A day at the audit: questions to a real server that is killed and started again, then the auditor's commands."""

import json
import re
from pathlib import Path
from time import monotonic, sleep

import apsw
import httpx
import pytest

from server.audit.log import AuditLog
from server.cli import main
from server.signing import Signer
from tests.e2e.served import serving, write_checkpoint

QUESTION = {
    "model": "hrm-tiny",
    "messages": [{"role": "user", "content": "Who leads the claims desk?"}],
    "max_tokens": 6,
}
GROUNDED = {**QUESTION, "model": "hrm-tiny@desk", "temperature": 0.7}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "hrm-tiny")


def test_answers_before_and_after_a_kill_are_in_one_chain_and_can_be_replayed(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"

    def run(*arguments: str) -> tuple[int, str]:
        status = main([*arguments, "--data-dir", str(data)])
        return status, capsys.readouterr().out

    def taken_in(name: str, text: str) -> None:
        (tmp_path / name).write_text(text)
        assert run("ingest", str(tmp_path / name), "--store", "desk")[0] == 0

    taken_in("desk.txt", "Marta Velin leads the claims desk.")
    asked = (("req_before", QUESTION), ("req_killed", GROUNDED), ("req_after", GROUNDED))
    for which in (asked[:2], asked[2:]):
        with serving(tmp_path, checkpoint) as served:
            for request, body in which:
                url, headers = f"{served.url}/v1/chat/completions", {"x-request-id": request}
                assert httpx.post(url, json=body, headers=headers, timeout=60).status_code == 200
            served.process.kill()
            served.process.wait()

    assert run("audit", "verify")[1].startswith("5 records"), "of them two of what was taken in"
    _, shown = run("audit", "show", "req_killed")
    assert json.loads(shown)["passages"][0]["rank"] == 1
    assert "Marta" not in shown

    (tmp_path / "body.json").write_text(json.dumps(GROUNDED))
    replay = ["audit", "replay", "req_killed", "--model", str(checkpoint)]
    with_question = [*replay, "--question", str(tmp_path / "body.json")]
    assert run(*with_question) == (0, "same\n")
    assert main([*replay, "--data-dir", str(data)]) == 1
    assert "--question FILE" in capsys.readouterr().err

    taken_in("more.txt", "The claims desk is led by nobody else. Ask Marta Velin who leads it.")
    status, said = run(*with_question)
    assert (status, said.splitlines()[0]) == (0, "same"), "what came later has not come yet"
    assert "generation was" in said

    run("delete", json.loads(shown)["passages"][0]["file"])
    status, said = run(*with_question)
    assert (status, said.splitlines()[0]) == (1, "erased")


def test_what_was_read_of_an_answer_before_a_kill_is_on_record_once(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data-dir", str(tmp_path / "data")]
    (tmp_path / "desk.txt").write_text("Marta Velin leads the claims desk.")
    assert main(["ingest", str(tmp_path / "desk.txt"), "--store", "desk", *data]) == 0
    asked = {**GROUNDED, "stream": True, "max_tokens": 900, "ignore_eos": True}
    with serving(tmp_path, checkpoint) as served:
        url, headers = f"{served.url}/v1/chat/completions", {"x-request-id": "req_cut"}
        with httpx.stream("POST", url, json=asked, headers=headers, timeout=60) as response:
            assert next(response.iter_lines()).startswith("data: ")
            served.process.kill()
            served.process.wait()
    assert main(["audit", "verify", *data]) == 0
    assert "cut off and on record when a server or a command next begins alone: 1." in capsys.readouterr().err

    for _ in range(2):
        with serving(tmp_path, checkpoint) as served:
            assert httpx.get(f"{served.url}/readyz").status_code == 200

    assert main(["audit", "verify", *data]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("3 records"), "of them two of what was taken in"
    assert "Under way" not in said.err
    assert main(["audit", "show", "req_cut", *data]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["kind"], record["outcome"], record["passages"][0]["rank"]) == ("answer", "cut off", 1)
    assert list(record["hashes"]) == ["question"]


def test_what_a_killed_server_left_is_on_record_though_somebody_acts_while_the_next_one_loads(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    log = AuditLog(data / "audit.db", Signer.of(data))
    log.begin({"kind": "act", "request": "req_cut", "outcome": "cut off"}, {})
    log.close()

    with serving(tmp_path, checkpoint, wait=False) as served, httpx.Client(base_url=served.url, timeout=60) as client:
        assert client.delete("/v1/files/file-any").status_code == 503, "it loads"

        assert main(["audit", "show", "req_cut", "--data-dir", str(data)]) == 0
        assert json.loads(capsys.readouterr().out)["outcome"] == "cut off"


def test_a_document_that_shares_words_with_the_log_is_proven_gone_by_the_server_and_by_the_command(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data-dir", str(tmp_path / "data")]
    (tmp_path / "form.txt").write_text("Parcels that do not contain the form are sent back.")
    ingest = ["ingest", str(tmp_path / "form.txt"), "--store", "desk", *data]
    assert main(ingest) == 0
    with serving(tmp_path, checkpoint) as served, httpx.Client(base_url=served.url, timeout=60) as client:
        # Its record has the sentence of abstention, "The documents do not contain the answer."
        assert client.post("/v1/chat/completions", json=GROUNDED).status_code == 200
        (file,) = client.get("/v1/files").json()["data"]
        assert client.delete(f"/v1/files/{file['id']}").status_code == 200
        deadline = monotonic() + 20
        while client.get("/v1/erasures").json()["data"][0]["status"] == "pending":
            assert monotonic() < deadline, served.log.read_text()
            sleep(0.1)

    assert main(ingest) == 0
    assert main(["stores", "desk", *data]) == 0
    (file_id,) = re.findall(r"file-\w+", capsys.readouterr().out.splitlines()[-1])
    assert main(["delete", file_id, *data]) == 0
    assert main(["erasures", "list", *data]) == 0
    said = capsys.readouterr().out
    assert (said.count("\tcertified\t"), said.count("\tpending\t")) == (2, 0)


def test_a_server_that_can_record_nothing_is_not_ready_until_it_can_again(tmp_path: Path, checkpoint: Path) -> None:
    with serving(tmp_path, checkpoint) as served, httpx.Client(base_url=served.url, timeout=60) as client:

        def statuses() -> list[int]:
            return [client.post("/v1/chat/completions", json=QUESTION).status_code, client.get("/readyz").status_code]

        assert statuses() == [200, 200]
        audit = apsw.Connection(str(tmp_path / "data" / "audit.db"))
        audit.execute("INSERT INTO private VALUES (2, 'in the way', x'', NULL)")
        assert statuses() == [503, 503]
        assert "the audit log cannot be written" in client.get("/readyz").json()["error"]["message"]

        audit.execute("DELETE FROM private WHERE number = 2")

        assert client.get("/readyz").status_code == 200
        assert statuses() == [200, 200]
        audit.close()
