"""hrm-ask: what it prints, and the code that it leaves with."""

import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import IO

import pytest
from hrm_client.terminal import main

from tests.clients.stub import (
    PATIENCE_S,
    SENTENCE,
    Refusal,
    Reply,
    StubServer,
    WebPage,
    annotation,
    grounding,
    not_in_the_documents,
    nothing_found,
    passage,
    twenty_seven_days,
)

CLIENT = Path(__file__).parents[2] / "clients" / "python"
QUESTION = "How many days of leave are there?"


@dataclass(frozen=True)
class Run:
    """What a command left behind."""

    stdout: str
    stderr: str
    returncode: int


def hrm_ask(*arguments: str, stdin: str | bytes = "", encoding: str = "utf-8") -> Run:
    """Run the command in this process, on streams that encode like a terminal's."""
    typed = TextIOWrapper(BytesIO(stdin.encode() if isinstance(stdin, str) else stdin), encoding="utf-8")
    out, err = TextIOWrapper(BytesIO(), encoding=encoding), TextIOWrapper(BytesIO(), encoding="utf-8")
    terminal_of_the_developer, sys.stdin = sys.stdin, typed
    try:
        with redirect_stdout(out), redirect_stderr(err):
            returncode = main(arguments)
    finally:
        sys.stdin = terminal_of_the_developer
    return Run(_written(out), _written(err), returncode)


def _written(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def started(*arguments: str, stdout: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own, for what only signals and pipes can show."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "hrm_client", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CLIENT)},
        preexec_fn=_as_in_the_foreground,
    )


def _as_in_the_foreground() -> None:
    # What a shell starts in the background ignores SIGINT, and so does everything that it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_answer_is_printed_and_then_its_sources(server: StubServer) -> None:
    result = hrm_ask(QUESTION, "--url", server.url)

    assert result.stdout == (
        "27 working days. [1]\n"
        "\n"
        "Sources\n"
        f"[1] Leave, leave.md, characters 123 to {123 + len(SENTENCE)}\n"
        f'    "{SENTENCE}"\n'
    )
    assert (result.stderr, result.returncode) == ("", 0)


def test_a_passage_that_is_cited_twice_for_the_same_words_is_listed_once(server: StubServer) -> None:
    source = passage()
    text = "27 working days. [2] Full-time staff receive 27 working days. [2]"
    server.reply = Reply(
        [text],
        citations=[passage(at=900, file="unused.md"), source],
        annotations=[
            annotation(text, "27 working days. [2]", source, quote=SENTENCE),
            annotation(text, "Full-time staff receive 27 working days. [2]", source, quote=SENTENCE, index=1),
        ],
        grounding=grounding(sentences=2, supported=2, passages=2),
    )

    result = hrm_ask(QUESTION, "--url", server.url)

    assert result.stdout.count(SENTENCE) == 1
    assert "unused.md" not in result.stdout


@pytest.mark.parametrize("reply", [not_in_the_documents(), nothing_found()])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_question_that_the_documents_do_not_answer_leaves_with_3(
    server: StubServer, reply: Reply, options: list[str]
) -> None:
    server.reply = reply

    result = hrm_ask(QUESTION, "--url", server.url, *options)

    assert result.returncode == 3
    assert reply.text in result.stdout
    assert "Sources" not in result.stdout
    assert result.stderr == ""


def test_an_unsupported_answer_counts_as_one_unless_strict_has_withheld_it(server: StubServer) -> None:
    server.reply = Reply(["Perhaps."], citations=[passage()], grounding=grounding("unsupported", supported=0))

    loose, strict = hrm_ask(QUESTION, "--url", server.url), hrm_ask(QUESTION, "--url", server.url, "--strict")

    assert (loose.returncode, strict.returncode) == (0, 3)
    assert [body.get("retrieval") for body in server.bodies] == [None, {"grounding": "strict"}]


def test_an_answer_without_retrieval_is_an_answer(server: StubServer) -> None:
    server.reply = Reply(["Hello."])

    result = hrm_ask(QUESTION, "--url", server.url)

    assert (result.stdout, result.returncode) == ("Hello.\n", 0)


def test_json_is_the_whole_answer_as_one_object(server: StubServer) -> None:
    result = hrm_ask(QUESTION, "--url", server.url, "--json")

    answer = json.loads(result.stdout)
    assert answer["text"] == "27 working days. [1]"
    assert answer["sources"][0]["filename"] == "leave.md"
    assert answer["citations"][0]["quote"] == SENTENCE
    assert answer["grounding"]["status"] == "supported"
    assert answer["usage"]["total_tokens"] == 95
    assert answer["finish_reason"] == "stop"


def test_a_dash_reads_the_question_from_standard_input(server: StubServer) -> None:
    hrm_ask("-", "--url", server.url, stdin="Wie viel Urlaub?\n🏖️\n")

    assert server.bodies[0]["messages"] == [{"role": "user", "content": "Wie viel Urlaub?\n🏖️"}]


@pytest.mark.parametrize("stdin", ["", " \n"])
def test_an_empty_question_is_an_error_and_is_not_asked(server: StubServer, stdin: str) -> None:
    result = hrm_ask("-", "--url", server.url, stdin=stdin)

    assert (result.stderr, result.returncode) == ("hrm-ask: the question is empty\n", 1)
    assert server.bodies == []


def test_a_question_that_is_not_text_is_an_error(server: StubServer) -> None:
    result = hrm_ask("-", "--url", server.url, stdin=b"\xff\xfe\x00")

    assert result.returncode == 1
    assert result.stderr == "hrm-ask: the question on standard input is not text\n"


def test_stores_model_and_key_are_passed_on(server: StubServer) -> None:
    hrm_ask(QUESTION, "--url", server.url, "--store", "a", "--store", "b", "--model", "m", "--key", "k")

    assert server.authorizations == ["Bearer k"]
    assert server.bodies[0]["model"] == "m"
    assert server.bodies[0]["retrieval"] == {"vector_store_ids": ["a", "b"]}


def test_the_key_is_read_from_the_environment(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_API_KEY", "from-the-environment")

    hrm_ask(QUESTION, "--url", server.url)

    assert server.authorizations == ["Bearer from-the-environment"]


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("geheim\nzwei", "contains a line break"),
        ("geheim\r", "contains a line break"),
        ("geheim-ß", "contains characters that a header cannot carry"),
        ("geheim\x07", "contains characters that a header cannot carry"),
        ("geheim ", "begins or ends with a space"),
    ],
)
def test_a_key_that_no_header_can_carry_is_named_and_not_shown(server: StubServer, key: str, problem: str) -> None:
    result = hrm_ask(QUESTION, "--url", server.url, "--key", key)

    assert (result.returncode, result.stderr) == (1, f"hrm-ask: the API key {problem}\n")


def test_a_question_with_undecodable_bytes_says_so(server: StubServer) -> None:
    result = hrm_ask("Caf\udce9?", "--url", server.url)

    assert result.returncode == 1
    assert result.stderr == ("hrm-ask: the question is not text: character 4 could not be read (it may not be UTF-8)\n")


def test_a_wrong_key_is_one_clear_line(server: StubServer) -> None:
    server.reply = Refusal(401, "The API key is missing or wrong.", "invalid_api_key")

    result = hrm_ask(QUESTION, "--url", server.url)

    assert result.stderr == "hrm-ask: The API key is missing or wrong. (give a key with HRM_API_KEY or --key)\n"
    assert (result.stdout, result.returncode) == ("", 1)


def test_an_unknown_store_is_named_in_the_servers_words(server: StubServer) -> None:
    server.reply = Refusal(404, "No vector store found with id 'x'.", "vector_store_not_found")

    result = hrm_ask(QUESTION, "--url", server.url, "--store", "x")

    assert result.stderr == "hrm-ask: No vector store found with id 'x'.\n"
    assert result.returncode == 1


def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    result = hrm_ask(QUESTION, "--url", "http://127.0.0.1:1/v1")

    assert result.stderr.startswith("hrm-ask: the connection to http://127.0.0.1:1/v1 failed: ")
    assert result.stderr.count("\n") == 1
    assert result.returncode == 1


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/v1", "http://[::1/v1", "http://:80/v1", "http://a:b/"])
def test_an_address_that_is_none_is_one_clear_line(url: str) -> None:
    result = hrm_ask(QUESTION, "--url", url)

    assert result.stderr == f"hrm-ask: {url} is not an address like http://127.0.0.1:8000/v1\n"
    assert result.returncode == 1


@pytest.mark.parametrize("options", [[], ["--json"], ["--model", "m"], ["--model", "m", "--json"]])
def test_a_web_page_is_not_taken_for_an_answer(server: StubServer, options: list[str]) -> None:
    server.reply = WebPage()

    result = hrm_ask(QUESTION, "--url", server.url, *options)

    assert result.stderr.startswith("hrm-ask: ")
    assert result.stderr.count("\n") == 1
    assert (result.stdout, result.returncode) == ("", 1)


def test_a_failure_in_the_middle_ends_the_line_and_leaves_with_1(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.error_after = 2
    server.reply = reply

    result = hrm_ask(QUESTION, "--url", server.url)

    assert (result.stdout, result.stderr) == ("27 working \n", "hrm-ask: The engine failed.\n")
    assert result.returncode == 1


def test_a_broken_stream_is_an_error_and_not_an_answer(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.cut_after = 2
    server.reply = reply

    result = hrm_ask(QUESTION, "--url", server.url)

    assert result.stderr == "hrm-ask: The stream ended before the answer did.\n"
    assert result.returncode == 1


def test_control_characters_in_documents_do_not_reach_the_terminal(server: StubServer) -> None:
    source = passage("27 days\x1b]0;owned\x07 a year.", title="Le\x1b[31mave", at=0)
    text = "27\x1b[2J days\x9b. [1]"
    server.reply = Reply(
        [text],
        citations=[source],
        annotations=[annotation(text, text, source, quote=source["content"])],
        grounding=grounding(),
    )

    result = hrm_ask(QUESTION, "--url", server.url)

    assert [character for character in result.stdout if character in "\x1b\x07\x9b"] == []
    assert "27[2J days. [1]" in result.stdout


def test_an_answer_in_emoji_survives_an_old_code_page(server: StubServer) -> None:
    server.reply = Reply(["Sun 🏖️."])

    result = hrm_ask(QUESTION, "--url", server.url, encoding="ascii")

    assert (result.stdout, result.returncode) == ("Sun ??.\n", 0)


def test_the_text_is_printed_while_it_is_written_and_ctrl_c_closes_the_connection(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.silent_after = 1
    server.reply = reply

    with started(QUESTION, "--url", server.url) as running:
        assert running.stdout is not None
        written = running.stdout.read(3)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=PATIENCE_S)

    assert written == b"27 "
    assert (errors, running.returncode) == (b"", 130)
    assert server.left.wait(PATIENCE_S / 2)


def test_a_reader_that_has_left_is_no_traceback(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.pieces = [f"{number} " * 2000 for number in range(60)]
    reply.annotations = []
    server.reply = reply

    with started(QUESTION, "--url", server.url) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.read(10)
        running.stdout.close()
        errors = running.stderr.read()

    assert (errors, running.returncode) == (b"", 1)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_answer_that_cannot_be_written_is_one_clear_line(server: StubServer, options: list[str]) -> None:
    with Path("/dev/full").open("wb") as full, started(QUESTION, "--url", server.url, *options, stdout=full) as running:
        _, errors = running.communicate(timeout=PATIENCE_S)

    assert errors == b"hrm-ask: the answer cannot be written: No space left on device\n"
    assert running.returncode == 1


def test_a_file_that_is_not_there_is_not_blamed_on_the_output(
    server: StubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    result = hrm_ask(QUESTION, "--url", server.url)

    assert result.returncode == 1
    assert "No such file" in result.stderr
    assert "written" not in result.stderr


def test_a_wrong_option_leaves_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([QUESTION, "--nonsense"])

    assert left.value.code == 2
    assert "--nonsense" in capsys.readouterr().err


def test_it_can_be_run_as_a_module(server: StubServer) -> None:
    with started(QUESTION, "--url", server.url) as running:
        printed, errors = running.communicate(timeout=PATIENCE_S)

    assert printed.startswith(b"27 working days. [1]")
    assert (errors, running.returncode) == (b"", 0)
