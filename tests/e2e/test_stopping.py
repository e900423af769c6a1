"""A server that is stopped in the middle of its other work: it ends by itself, and soon."""

import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import httpx
import openai

from tests.e2e.served import ROOT, environment, hrm_serve, serving, write_checkpoint


def test_a_server_that_is_stopped_while_it_reads_a_large_file_is_gone_soon(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    checkpoint = write_checkpoint(tmp_path / "model")
    with (
        serving(tmp_path, checkpoint) as served,
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, timeout=60) as client,
    ):
        # One paragraph, as a log is: nothing of it can be cut before all of it has been counted.
        large = client.files.create(file=("log.txt", b"A line of the log. " * 500_000), purpose="assistants")
        client.vector_stores.create(name="logs", file_ids=[large.id])
        deadline = monotonic() + 120
        while "hrm_ingest_parse_seconds_count 1.0" not in httpx.get(f"{served.url}/metrics").text:
            assert monotonic() < deadline
            sleep(0.05)
        served.terminate()
        while " stopped\n" not in served.log.read_text():
            assert monotonic() < deadline
            sleep(0.05)
        stopped = monotonic()

        assert served.process.wait(60) == 0
        assert monotonic() - stopped < 20


def _as_in_the_foreground() -> None:
    # What a shell starts in the background ignores SIGINT, and so does everything that it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_ingest_that_is_interrupted_says_what_is_kept_and_goes_on_when_asked_again(tmp_path: Path) -> None:
    papers, data = tmp_path / "papers", tmp_path / "data"
    papers.mkdir()
    for number in range(24):
        paragraphs = (f"Paragraph {at} of paper {number}: " + "a word " * 100 for at in range(6))
        (papers / f"{number}.txt").write_text("\n\n".join(paragraphs))
    command = ["ingest", str(papers), "--store", "papers", "--data-dir", str(data)]

    with subprocess.Popen(
        [sys.executable, "-m", "server.cli", *command],
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        preexec_fn=_as_in_the_foreground,
    ) as running:
        deadline = monotonic() + 120
        while not (data / "files").exists() or len(list((data / "files").iterdir())) < 12:
            assert monotonic() < deadline
            sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)

    assert running.returncode == 130
    assert said.decode().strip().endswith("the same command again goes on with the others.")
    kept = hrm_serve("stores", "papers", "--data-dir", str(data)).stdout
    again = hrm_serve(*command, timeout_s=240)
    assert again.returncode == 0, again.stderr
    assert "0 refused" in again.stdout
    assert again.stdout.startswith(f"{24 - kept.count('completed')} new")
    listed = hrm_serve("stores", "papers", "--data-dir", str(data)).stdout
    assert {f"{number}.txt" for number in range(24)} <= set(listed.split())
    assert listed.count("completed") == 24
