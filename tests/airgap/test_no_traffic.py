"""From the installation to the second start, in a network namespace without a way out, nothing looks for one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from server.commands.samples import SAMPLES
from tests.airgap import journey
from tests.airgap.trace import beyond, cut_off
from tests.e2e.served import ROOT, environment

# Some of the samples: the one that answers the question, and one of another format.
DOCUMENTS = ("data-retention.md", "glossary.txt", "branches.html")
JOURNEY = str(Path(journey.__file__))


def check(ended: "subprocess.CompletedProcess[str]", trace: Path, *, starts: int, told: int) -> None:
    """The journey was made, its answers are from the documents, the collector knows, and no call left the machine."""
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    answers = found["answers"]
    assert (len(answers), found["told"]) == (starts, told)
    for answer in answers:
        message = answer["choices"][0]["message"]
        assert "twelve months [1]" in message["content"]
        assert "Data retention schedule" in json.dumps(message["annotations"])
    calls = trace.read_text()
    assert 'inet_addr("127.0.0.1")' in calls, "the trace saw the questions, so it would have seen others"
    assert beyond(calls) == []


@pytest.mark.cut_off
def test_documents_are_taken_in_and_asked_without_a_network(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    documents = [str(SAMPLES / name) for name in DOCUMENTS]
    command = [
        sys.executable,
        JOURNEY,
        "1",
        str(tmp_path / "data"),
        *documents,
        "--",
        sys.executable,
        "-m",
        "server.cli",
    ]

    ended = cut_off(command, trace, cwd=ROOT, env=environment(), timeout_s=280)

    check(ended, trace, starts=1, told=0)


@pytest.mark.airgap
@pytest.mark.timeout(2500)
def test_a_site_installs_from_the_bundle_asks_with_tracing_on_restarts_and_asks_again(tmp_path: Path) -> None:
    bundle, venv = ROOT / "dist" / "bundle", tmp_path / "venv"
    command = [
        "sh",
        "-euc",
        'sha256sum --quiet --check SHA256SUMS >&2; "$1" -m venv "$2"; '
        '"$2/bin/pip" install --quiet --no-index --find-links . --no-deps --require-hashes -r server.txt >&2; '
        'cd "$3"; exec "$2/bin/python" "$4" 2 "$3/data" -- "$2/bin/hrm-serve"',
        *("journey", sys.executable, str(venv), str(tmp_path), JOURNEY),
    ]
    plain = {name: value for name, value in environment().items() if not name.startswith(("PIP_", "PYTHONPATH"))}
    trace = tmp_path / "trace"

    # pip's own settings could name wheels outside the bundle, which would prove nothing.
    plain |= {"PIP_CONFIG_FILE": "/dev/null", "HRM_OTEL_ENDPOINT": "http://127.0.0.1:4318"}
    ended = cut_off(command, trace, cwd=bundle, env=plain, timeout_s=2400)

    check(ended, trace, starts=2, told=2)
