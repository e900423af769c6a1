"""The real process: `hrm-serve serve`, driven over its socket and by signals, beside the other commands."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from time import monotonic, sleep
from typing import Any

import httpx
import openai
import pytest
from openai.types import CompletionChoice

from hrm_model.tokenizer import load_tokenizer
from tests.e2e.served import CUT_OFF, STUCK_ENGINE, Served, hrm_serve, serving, write_checkpoint
from tests.samples import Samples, samples

QUESTION = "Who leads the claims desk?"
LEAVE = "Leave.\n\nFull-time staff receive 28 days of paid leave each year.\n"
OUTCOMES = tuple((("outcome", code),) for code in ("completed", "invalid_file", "unsupported_file"))
CLAIMS = "Claims.\n\nMarta Velin leads the claims desk.\n"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model") / "hrm-tiny")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, checkpoint, ["--default-store", "notes"]) as running:
        (folder / "leave.txt").write_text(LEAVE)
        ingested = running.command("ingest", str(folder / "leave.txt"), "--store", "notes")
        assert ingested.returncode == 0, ingested.stderr
        yield running


def client_of(served: Served, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0, timeout=60)


def scraped(served: Served) -> Samples:
    return samples(httpx.get(f"{served.url}/metrics", timeout=30).text)


def sources(served: Served) -> list[str]:
    """The files that the answer to the question was given to read."""
    with client_of(served) as client:
        answer = client.chat.completions.create(
            model="hrm-tiny", messages=[{"role": "user", "content": QUESTION}], max_tokens=1
        )
    context = answer.choices[0].message.to_dict()["context"]
    assert isinstance(context, dict)
    return [citation["filepath"] for citation in context["citations"]]


@pytest.mark.parametrize(
    "call",
    [
        "socket.create_connection(('192.0.2.1', 443))",
        "socket.getaddrinfo('hub.example', 443)",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    ],
)
def test_a_call_to_the_network_would_not_go_unseen(call: str, tmp_path: Path) -> None:
    beyond = tmp_path / "beyond.txt"

    ended = subprocess.run(
        [sys.executable, "-c", f"{CUT_OFF}\nimport socket; {call}", str(beyond)], capture_output=True, check=False
    )

    assert b"the network is cut" in ended.stderr
    assert "192.0.2.1" in beyond.read_text() or "hub.example" in beyond.read_text()


def test_the_models_are_the_checkpoint_and_its_stores(served: Served) -> None:
    with client_of(served) as client:
        assert [model.id for model in client.models.list()] == ["hrm-tiny", "hrm-tiny@none", "hrm-tiny@notes"]


def test_a_streamed_answer_says_the_same_as_a_whole_one(served: Served) -> None:
    with client_of(served) as client:
        whole = client.chat.completions.create(
            model="hrm-tiny", messages=[{"role": "user", "content": QUESTION}], max_tokens=24
        )
        with client.chat.completions.create(
            model="hrm-tiny", messages=[{"role": "user", "content": QUESTION}], max_tokens=24, stream=True
        ) as chunks:
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    assert streamed == whole.choices[0].message.content
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0


def test_a_completion_answers_like_a_chat_without_retrieval_and_echoes_its_prompt(served: Served) -> None:
    with client_of(served) as client:
        chat = client.chat.completions.create(
            model="hrm-tiny@none", messages=[{"role": "user", "content": QUESTION}], max_tokens=12
        )
        plain = client.completions.create(model="hrm-tiny", prompt=QUESTION, max_tokens=12)
        echoed = client.completions.create(
            model="hrm-tiny", prompt=[QUESTION, QUESTION], max_tokens=12, echo=True, logprobs=2
        )
        ids = client.completions.create(model="hrm-tiny", prompt=[40, 41, 42], max_tokens=12, echo=True)

    assert plain.choices[0].text == chat.choices[0].message.content
    assert [choice.text for choice in echoed.choices] == [QUESTION + plain.choices[0].text] * 2
    logprobs = echoed.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.token_logprobs is not None
    assert plain.usage is not None
    prompt_tokens = plain.usage.prompt_tokens
    assert logprobs.token_logprobs[:prompt_tokens] == [None] * prompt_tokens
    assert all(isinstance(logprob, float) for logprob in logprobs.token_logprobs[prompt_tokens:])
    assert ids.usage is not None
    assert ids.usage.prompt_tokens == 3
    assert ids.choices[0].text


def test_an_echo_is_what_all_its_tokens_spell_wherever_prompt_and_answer_part(served: Served, checkpoint: Path) -> None:
    tokenizer = load_tokenizer(checkpoint)
    ids = tokenizer.encode("Why? 東🙂é!")

    def echoed(end: int, prefix_len: int, max_tokens: int, logprobs: int | None) -> CompletionChoice:
        # What comes next in the text: the byte that completes a character, where one is broken off.
        bias = {str(ids[end]): 100} if max_tokens else {}
        answer = client.completions.create(
            model="hrm-tiny",
            prompt=ids[:end],
            max_tokens=max_tokens,
            logprobs=logprobs,
            logit_bias=bias,
            echo=True,
            extra_body={"prefix_len": prefix_len},
        )
        return answer.choices[0]

    assert len(ids) > 12, "characters of several tokens"
    with client_of(served) as client:
        for end in range(6, len(ids)):
            for max_tokens in (0, 1):
                whole = tokenizer.decode(ids[: end + max_tokens])
                for prefix_len in (1, end // 2, end - 1):
                    plain, scored = (echoed(end, prefix_len, max_tokens, logprobs) for logprobs in (None, 0))

                    assert plain.text == scored.text == whole
                    assert scored.logprobs is not None
                    offsets, tokens = scored.logprobs.text_offset, scored.logprobs.tokens
                    assert offsets is not None
                    assert tokens is not None
                    places = [len(tokenizer.decode(ids[:at]).rstrip("\ufffd")) for at in range(end + max_tokens)]
                    assert offsets == places


@pytest.mark.parametrize("logprobs", [None, 1])
def test_the_best_of_several_answers_are_the_likeliest_of_those_that_the_same_seed_draws(
    served: Served, logprobs: int | None
) -> None:
    asked: Any = {"model": "hrm-tiny", "prompt": [QUESTION, "How?"], "max_tokens": 12, "temperature": 1.5, "seed": 7}
    with client_of(served) as client:
        every = client.completions.create(**asked, n=6, logprobs=1)
        best = client.completions.create(**asked, n=2, best_of=6, logprobs=logprobs)

    def likelihood(choice: CompletionChoice) -> float:
        assert choice.logprobs is not None
        assert choice.logprobs.token_logprobs is not None
        return mean(map(float, choice.logprobs.token_logprobs))

    expected = [
        choice.text
        for start in (0, 6)
        for choice in sorted(every.choices[start : start + 6], key=likelihood, reverse=True)[:2]
    ]
    assert [choice.text for choice in best.choices] == expected
    assert [choice.index for choice in best.choices] == [0, 1, 2, 3]
    assert all((choice.logprobs is None) == (logprobs is None) for choice in best.choices)
    assert best.usage is not None
    assert every.usage is not None
    assert best.usage.completion_tokens == every.usage.completion_tokens, "all that were drawn are counted"


def test_a_document_taken_in_beside_the_server_is_read_with_the_next_question_and_gone_with_the_one_after_its_deletion(
    served: Served, tmp_path: Path
) -> None:
    (tmp_path / "claims.txt").write_text(CLAIMS)
    assert "claims.txt" not in sources(served)

    ingested = served.command("ingest", str(tmp_path / "claims.txt"), "--store", "notes")

    assert ingested.returncode == 0, ingested.stderr
    assert ingested.stdout.startswith("1 new in notes (1 chunks)")
    assert sources(served)[0] == "claims.txt"

    listed = served.command("stores", "notes").stdout
    (file_id,) = [line.split("\t")[1] for line in listed.splitlines() if line.startswith("claims.txt")]
    assert served.command("delete", file_id).returncode == 0

    assert "claims.txt" not in sources(served)


def test_work_shows_in_the_metrics_of_each_stage_and_the_store_is_counted_whoever_filled_it(served: Served) -> None:
    before = scraped(served)
    rules = "\n\n".join(f"Rule {number}. " + "Reports reach the desk in time. " * 40 for number in range(400))
    with client_of(served) as client:
        store = client.vector_stores.create(name="metered")
        for name, content in (("leave.txt", LEAVE.encode()), ("empty.txt", b" \n"), ("leave.exe", b"MZ")):
            client.vector_stores.files.upload_and_poll(
                vector_store_id=store.id, file=(name, content), poll_interval_ms=50
            )
        assert sources(served)
        worked = scraped(served)
        waiting = client.files.create(file=("rules.txt", rules.encode()), purpose="assistants")
        client.vector_stores.files.create(store.id, file_id=waiting.id)
        queued = scraped(served)
        client.files.delete(waiting.id)
        client.vector_stores.delete(store.id)
    done = {name: worked[name] - before[name] for name in before}

    for stage in ("ingest_parse", "ingest_embed", "query_embed", "search", "pack", "ground"):
        assert done[(f"hrm_{stage}_seconds_count", ())] >= 1, stage
        assert done[(f"hrm_{stage}_seconds_sum", ())] > 0, stage
    outcomes = {labels: worked[("hrm_ingest_files_total", labels)] for labels in OUTCOMES}
    assert outcomes[OUTCOMES[0]] >= outcomes[OUTCOMES[1]] == outcomes[OUTCOMES[2]] == 1
    assert before[("hrm_documents", (("status", "completed"),))] == 1  # a command has filled the store
    assert done[("hrm_documents", (("status", "completed"),))] == 1
    assert done[("hrm_documents_failed", (("code", "unsupported_file"),))] == 1
    assert (worked[("hrm_store_up", ())], worked[("hrm_index_rows", ())]) == (1, 2)
    assert worked[("hrm_index_generation", ())] == worked[("hrm_store_generation", ())] > 0
    assert queued[("hrm_ingest_queue_files", ())] == 1
    assert 0 < queued[("hrm_ingest_queue_age_seconds", ())] < 60


def test_a_foreign_web_page_cannot_use_a_server_without_keys(served: Served) -> None:
    response = httpx.get(f"{served.url}/v1/models", headers={"Origin": "https://evil.example"})

    assert (response.status_code, response.json()["error"]["code"]) == (403, "local_only")
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_taken_port_is_said_in_words(served: Served, tmp_path: Path, checkpoint: Path) -> None:
    port = served.url.rsplit(":", 1)[1]

    second = hrm_serve("serve", "--model", str(checkpoint), "--data-dir", str(tmp_path), "--port", port)

    assert second.returncode == 1
    assert f"hrm-serve: cannot listen on 127.0.0.1 port {port}: Address already in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_checkpoint_that_cannot_be_loaded_ends_the_process_in_words(tmp_path: Path, checkpoint: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in checkpoint.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "model.safetensors").write_bytes(b"\0" * 64)

    ended = hrm_serve("serve", "--model", str(broken), "--data-dir", str(tmp_path / "data"), "--port", "0")

    assert ended.returncode == 1
    assert "hrm-serve: " in ended.stderr
    assert "model.safetensors" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_server_that_is_told_to_stop_ends_its_answers_first(tmp_path: Path, checkpoint: Path) -> None:
    with serving(tmp_path, checkpoint, wait=False) as served:
        assert served.ready() == "the model and the store are still loading"
        early = httpx.post(f"{served.url}/v1/chat/completions", json=body(max_tokens=1))
        assert (early.status_code, early.json()["error"]["code"]) == (503, "not_ready")
        assert "Retry-After" in early.headers
        deadline = monotonic() + 60
        while served.ready() is not None:
            assert monotonic() < deadline

        with httpx.stream(
            "POST", f"{served.url}/v1/chat/completions", json=body(max_tokens=900, n=4, stream=True)
        ) as stream:
            lines = stream.iter_lines()
            first = next(lines)
            served.terminate()
            while (reason := served.ready()) is None:
                pass
            late = httpx.post(f"{served.url}/v1/chat/completions", json=body(max_tokens=1))
            upload = httpx.post(f"{served.url}/v1/files", files={"file": b"text"}, data={"purpose": "assistants"})
            frames = [line for line in (first, *lines) if line.startswith("data: ")]

        assert reason == "the server is shutting down"
        for refused in (late, upload):
            assert (refused.status_code, refused.headers.get("Retry-After")) == (503, "1")
        assert frames[-1] == "data: [DONE]"
        assert served.process.wait(20) == 0


@pytest.mark.parametrize(("drain_s", "signals"), [("0.2", 1), ("300", 2)])
def test_an_answer_that_outlasts_the_patience_ends_in_an_error_and_the_process_with_it(
    tmp_path: Path, checkpoint: Path, drain_s: str, signals: int
) -> None:
    with serving(tmp_path, checkpoint, ["--drain-seconds", drain_s]) as served:
        request = body(max_tokens=1900, n=8, stream=True)
        with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=request, timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            served.terminate()
            if signals == 2:
                while served.ready() is None:
                    pass
                served.terminate()
            frames = [line for line in lines if line.startswith("data: ")]

        assert "data: [DONE]" not in frames
        assert json.loads(frames[-1].removeprefix("data: "))["error"]["code"] == "engine_unavailable"
        assert served.process.wait(20) == 0


def test_an_engine_that_is_stuck_does_not_outlast_a_second_signal_and_what_was_acknowledged_is_there(
    tmp_path: Path, checkpoint: Path
) -> None:
    with serving(tmp_path, checkpoint, ["--drain-seconds", "300"], before=STUCK_ENGINE) as served:
        with client_of(served) as client:
            kept = client.files.create(file=("leave.txt", LEAVE.encode()), purpose="assistants")
        request = body(max_tokens=1000, stream=True)
        with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=request, timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            served.terminate()
            while served.ready() is None:
                pass
            served.terminate()
            began = monotonic()
            with pytest.raises(httpx.RemoteProtocolError):
                list(lines)
            assert served.process.wait(20) == 1

        assert monotonic() - began < 15
        assert "in _work" in served.log.read_text(), "the log says where the engine was"
        assert (served.data / "files" / kept.id).read_bytes() == LEAVE.encode()
        verified = served.command("audit", "verify").stdout
        assert verified.startswith("2 records"), verified


def test_keys_made_and_revoked_beside_the_server_count_from_the_next_request_on(
    tmp_path: Path, checkpoint: Path
) -> None:
    (tmp_path / "first_key").write_text("first-secret-of-more-than-32-characters\n")
    with serving(tmp_path, checkpoint, ["--first-key-file", str(tmp_path / "first_key")]) as served:

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return httpx.get(f"{served.url}/v1/models", headers=headers).status_code

        assert status("") == 401
        assert status("first-secret-of-more-than-32-characters") == 200

        made = served.command("keys", "create", "--principal", "user:anna", "--role", "ask")
        secret = made.stdout.strip()
        assert status(secret) == 200
        # Who may ask may not read metrics.
        assert httpx.get(f"{served.url}/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code == 403

        # An erasure looks into every file of the data directory, the databases that commands and server share too.
        erase(served.url, "first-secret-of-more-than-32-characters")
        assert served.command("keys", "list").returncode == 0

        key_id = made.stderr.split()[0]
        assert served.command("keys", "revoke", key_id).returncode == 0
        assert status(secret) == 401
        later = served.command("keys", "create", "--principal", "user:bert", "--role", "ask")
        assert status(later.stdout.strip()) == 200
        assert served.command("audit", "verify").returncode == 0

        said = served.log.read_text()
        assert secret not in said
        assert "first-secret" not in said


def erase(url: str, key: str) -> None:
    """Hand a file in, delete it, and wait for the certificate."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key) as client:
        file = client.files.create(file=("gone.txt", b"Gone tomorrow."), purpose="assistants")
        client.files.delete(file.id)
        deadline = monotonic() + 60
        while True:
            found = httpx.get(f"{url}/v1/erasures", headers={"Authorization": f"Bearer {key}"}).json()["data"]
            if found and found[0]["status"] == "certified":
                return
            assert monotonic() < deadline, found
            sleep(0.2)


def body(**fields: object) -> dict[str, object]:
    return {"model": "hrm-tiny", "messages": [{"role": "user", "content": QUESTION}], **fields}
