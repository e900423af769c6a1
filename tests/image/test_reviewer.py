"""The rest of a security reviewer's list, walked in the built image: who asks, what they see, what is proven."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from subprocess import run
from threading import Thread

import pytest

from tests.airgap.journey import MODEL, QUESTION
from tests.authority import Authority
from tests.identity_provider import AUDIENCE, ISSUER, Provider
from tests.image.conftest import KEY, Start
from tests.image.container import Answer, Container

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]

PROVIDER = Provider()
SETTINGS = {
    "HRM_OIDC_ISSUER": ISSUER,
    "HRM_OIDC_AUDIENCE": AUDIENCE,
    "HRM_OIDC_JWKS_FILE": "/run/secrets/jwks.json",
    "HRM_OIDC_ROLES": "ask,ingest",
    "HRM_METRICS_LISTEN": "127.0.0.1:8001",
    "HRM_DEFAULT_STORE": "handbook",
}
IBAN = "DE89 3704 0044 0532 0130 00"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def bank(start: Start) -> Iterator[Container]:
    """A container with the sample documents, a provider of tokens, and a listener for metrics."""
    with start("serve", files={"jwks.json": PROVIDER.jwks()}, environment=SETTINGS) as container:
        container.wait_until_ready()
        taken = container.run("sh", "-c", "hrm-serve ingest $(hrm-serve samples) --store handbook --read '*'")
        assert taken.returncode == 0, taken.stderr
        yield container


def made(container: Container, *flags: str) -> tuple[str, str]:
    """A key's id and its secret."""
    created = container.run("hrm-serve", "keys", "create", *flags)
    (key_id,) = re.findall(r"key_[0-9a-f]+", created.stderr) or pytest.fail(created.stderr)
    return key_id, created.stdout.strip()


def bearer(secret: str, **others: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}", **JSON, **others}


def ask(container: Container, headers: dict[str, str], **fields: object) -> Answer:
    body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], **fields}
    return container.send("POST", "/v1/chat/completions", headers, json.dumps(body))


def post(container: Container, path: str, headers: dict[str, str], body: object) -> Answer:
    return container.send("POST", path, headers, json.dumps(body))


def uploaded(container: Container, headers: dict[str, str], name: str, text: str) -> str:
    parts = [
        'Content-Disposition: form-data; name="purpose"\r\n\r\nassistants',
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{text}',
    ]
    body = "".join(f"--part\r\n{part}\r\n" for part in parts) + "--part--\r\n"
    form = {**headers, "content-type": "multipart/form-data; boundary=part"}
    answer = container.send("POST", "/v1/files", form, body)
    assert answer.status == 200, answer.text
    file_id: str = answer.json["id"]
    return file_id


def attached(container: Container, headers: dict[str, str], store: str, file_id: str) -> None:
    """Put a file into a store, and wait until it is found there."""
    path = f"/v1/vector_stores/{store}/files"
    assert post(container, path, headers, {"file_id": file_id}).status == 200
    for _ in range(200):
        status = container.send("GET", f"{path}/{file_id}", headers).json["status"]
        if status != "in_progress":
            break
    assert status == "completed"


def test_a_key_has_a_whole_life(bank: Container) -> None:
    key_id, secret = made(bank, "--principal", "user:ann", "--role", "ask")
    assert ask(bank, bearer(secret)).status == 200

    rotated = bank.run("hrm-serve", "keys", "rotate", key_id, "--overlap", "1h").stdout.strip()
    assert [ask(bank, bearer(one)).status for one in (secret, rotated)] == [200, 200]
    listed = bank.run("hrm-serve", "keys", "list").stdout
    assert key_id in listed
    assert secret not in listed

    assert bank.run("hrm-serve", "keys", "revoke", key_id).returncode == 0
    assert [ask(bank, bearer(one)).status for one in (secret, rotated)] == [401, 401]


def test_no_secret_is_at_rest(bank: Container) -> None:
    _, secret = made(bank, "--principal", "user:ben", "--role", "ask")

    found = bank.run("grep", "-rlE", f"{secret}|{KEY}", "/data", "/tmp")

    assert (found.returncode, found.stdout) == (1, "")


def test_a_key_keeps_to_its_limits(bank: Container) -> None:
    _, secret = made(bank, "--principal", "user:cy", "--role", "ask", "--requests-per-minute", "1")

    answers = [ask(bank, bearer(secret)) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 429]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "1"
    assert int(answers[1].headers["retry-after"]) >= 1


def test_two_people_behind_one_application_see_their_own_alone(bank: Container) -> None:
    _, secret = made(bank, "--principal", "user:portal", "--role", "ask", "--role", "ingest", "--role", "act-for")
    anna, ben = (
        bearer(secret, **{"x-on-behalf-of": f"Bearer {PROVIDER.token(name, name)}"}) for name in ("anna", "ben")
    )
    store = post(bank, "/v1/vector_stores", anna, {"name": "anna's"}).json["id"]
    file_id = uploaded(bank, anna, "anna.txt", "The vault of Anna opens at 4711.")
    attached(bank, anna, store, file_id)

    own = post(bank, f"/v1/vector_stores/{store}/search", anna, {"query": "vault"})
    foreign = post(bank, f"/v1/vector_stores/{store}/search", ben, {"query": "vault"})
    absent = post(bank, "/v1/vector_stores/vs_none/search", ben, {"query": "vault"})

    assert "4711" in own.text
    assert (foreign.status, foreign.text.replace(store, "vs_none")) == (404, absent.text)
    assert bank.send("GET", f"/v1/files/{file_id}/content", ben).status == 404
    assert file_id not in bank.send("GET", "/v1/files", ben).text
    assert ask(bank, bearer(secret, **{"x-on-behalf-of": "Bearer x.y.z"})).status == 401


def test_a_redacting_store_holds_no_personal_data(bank: Container) -> None:
    store = post(bank, "/v1/vector_stores", bearer(KEY), {"name": "letters", "personal_data": "redact"}).json["id"]
    file_id = uploaded(bank, bearer(KEY), "letter.txt", f"Please pay the damages to {IBAN} by Friday.")
    attached(bank, bearer(KEY), store, file_id)

    told = post(bank, f"/v1/vector_stores/{store}/search", bearer(KEY), {"query": "pay the damages"}).text

    assert "[IBAN]" in told
    assert IBAN not in told
    looked = bank.run("grep", "-rl", IBAN, "/data")
    assert (looked.returncode, looked.stdout) == (1, ""), looked.stderr


def test_metrics_have_a_listener_of_their_own_and_hold_no_words(bank: Container) -> None:
    ask(bank, bearer(KEY), messages=[{"role": "user", "content": "canary in the coal mine"}])

    answer = bank.send("GET", "/metrics", port=8001)

    assert answer.status == 200
    assert "hrm_grounding_total" in answer.text
    assert "canary" not in answer.text + bank.log.read_text()
    assert bank.send("GET", "/v1/models", port=8001).status == 404
    assert bank.send("GET", "/metrics").status == 401


def test_every_answer_has_safe_headers_and_no_cors(bank: Container) -> None:
    for answer in (bank.send("GET", "/v1/models", {"origin": "https://evil.example"}), ask(bank, bearer(KEY))):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", "{", 400),
        ("/v1/chat/completions", "[" * 100_000, 400),
        ("/v1/chat/completions", '{"model": "hrm-text-mini", "messages": []}', 400),
        ("/v1/files/..%2f..%2fetc%2fpasswd/content", None, 404),
    ],
    ids=["no JSON", "too deep", "no messages", "a path upwards"],
)
def test_rubbish_is_refused_in_words(bank: Container, path: str, body: str | None, status: int) -> None:
    answer = bank.send("GET" if body is None else "POST", path, bearer(KEY), body)

    assert answer.status == status
    assert answer.json["error"]["message"]


def test_the_doctor_finds_nothing_wrong(bank: Container) -> None:
    told = bank.run("hrm-serve", "doctor")

    assert told.returncode == 0, told.stdout + told.stderr


def test_the_chain_verifies_and_names_what_was_changed(bank: Container) -> None:
    answer = ask(bank, bearer(KEY, **{"x-request-id": "review-1"}), temperature=0)
    assert answer.status == 200

    verified = bank.run("hrm-serve", "audit", "verify")
    shown = bank.run("hrm-serve", "audit", "show", "review-1")

    assert verified.returncode == 0, verified.stderr
    assert '"outcome":"answered"' in shown.stdout.replace(" ", "").replace("\n", "")
    assert QUESTION not in shown.stdout, "content is not kept unless that is configured"
    number = json.loads(shown.stdout)["number"]
    bank.run("cp", "-r", "/data", "/tmp/copy")
    changed = "import sqlite3; db = sqlite3.connect('/tmp/copy/audit.db'); db.execute(\"UPDATE audit SET record ="
    changed += f" replace(record, 'answered', 'refused') WHERE number = {number}\"); db.commit()"
    assert bank.run("python3", "-c", changed).returncode == 0
    refused = bank.run("hrm-serve", "audit", "verify", "--data-dir", "/tmp/copy")
    assert refused.returncode == 1
    assert f"Record {number} is not what it was" in refused.stderr
    bank.run("rm", "-r", "/tmp/copy")


def test_an_answer_under_way_ends_before_a_server_that_is_told_to_stop(start: Start) -> None:
    heard: list[Answer] = []
    with start("serve", environment={"HRM_DEFAULT_STORE": "handbook"}) as container:
        container.wait_until_ready()
        fields = {"stream": True, "model": f"{MODEL}@none", "max_tokens": 200, "ignore_eos": True}
        asking = Thread(target=lambda: heard.append(ask(container, bearer(KEY), **fields)))
        asking.start()
        while not re.search(
            r"^vllm:num_requests_running\S* 1", container.send("GET", "/metrics", bearer(KEY)).text, re.M
        ):
            assert asking.is_alive(), "the answer was too short to be met under way"
        assert container.stop() == 0
        asking.join()

    assert heard[0].text.endswith("data: [DONE]\n\n")


def test_a_killed_server_leaves_a_chain_that_verifies(start: Start) -> None:
    with start("serve", environment={"HRM_DEFAULT_STORE": "handbook"}) as container:
        container.wait_until_ready()
        asking = [Thread(target=ask, args=(container, bearer(KEY))) for _ in range(4)]
        for thread in asking:
            thread.start()
        assert ask(container, bearer(KEY)).status == 200
        run(["runc", "kill", container.id, str(int(SIGKILL))], check=True)
        for thread in asking:
            thread.join()

    with start("audit", "verify") as verifying:
        assert verifying.process.wait(timeout=120) == 0, verifying.log.read_text()


def test_it_speaks_tls_from_files(start: Start, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    files = {"server.pem": pair.certificate.read_bytes(), "server.key": pair.key.read_bytes()}
    settings = {"HRM_TLS_CERTIFICATE": "/run/secrets/server.pem", "HRM_TLS_KEY": "/run/secrets/server.key"}
    with start("serve", files=files, environment=settings, trust=authority.certificate) as container:
        container.wait_until_ready()
        trusted = container.send("GET", "/v1/models", bearer(KEY))
        container.trust = Authority(tmp_path, "another").certificate
        distrusted = container.send("GET", "/v1/models", bearer(KEY))
        container.trust = None
        plain = container.send("GET", "/livez")

    assert (trusted.status, distrusted.status, plain.status) == (200, 0, 0)
    assert "max-age" in trusted.headers["strict-transport-security"]
