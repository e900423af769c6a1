"""From the installation to the second start, in a network namespace without a way out, nothing looks for one."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from server.commands.samples import SAMPLES
from tests.airgap import journey
from tests.airgap.trace import TracerFailed, beyond, cut_off
from tests.e2e.served import ROOT, environment

# Some of the samples: the one that answers the question, and one of another format.
DOCUMENTS = ("data-retention.md", "glossary.txt", "branches.html")
JOURNEY = str(Path(journey.__file__))


TRIES = 3


def journey_of(
    command: Callable[[Path], Sequence[str]], tmp_path: Path, *, cwd: Path, env: Mapping[str, str], timeout_s: float
) -> tuple["subprocess.CompletedProcess[str]", Path]:
    """Make a journey in a folder of its own, and once more where strace came to grief; its end, and the trace."""
    for attempt in range(TRIES):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        try:
            ended = cut_off(command(folder), folder / "trace", cwd=cwd, env=env, timeout_s=timeout_s)
        except TracerFailed as error:
            failed = error
        else:
            return ended, folder / "trace"
    raise failed


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
    documents = [str(SAMPLES / name) for name in DOCUMENTS]

    def command(folder: Path) -> Sequence[str]:
        served = ("--", sys.executable, "-m", "server.cli")
        return (sys.executable, JOURNEY, "1", str(folder / "data"), *documents, *served)

    ended, trace = journey_of(command, tmp_path, cwd=ROOT, env=environment(), timeout_s=200)

    check(ended, trace, starts=1, told=0)


@pytest.mark.airgap
@pytest.mark.timeout(2500)
def test_a_site_installs_from_the_bundle_asks_with_tracing_on_restarts_and_asks_again(tmp_path: Path) -> None:
    def command(folder: Path) -> Sequence[str]:
        script = (
            'sha256sum --quiet --check SHA256SUMS >&2; "$1" -m venv "$2/venv"; '
            '"$2/venv/bin/pip" install --quiet --no-index --find-links . --no-deps --require-hashes -r server.txt >&2; '
            'cd "$2"; exec "$2/venv/bin/python" "$3" 2 "$2/data" -- "$2/venv/bin/hrm-serve"'
        )
        return ("sh", "-euc", script, "journey", sys.executable, str(folder), JOURNEY)

    plain = {name: value for name, value in environment().items() if not name.startswith(("PIP_", "PYTHONPATH"))}
    # pip's own settings could name wheels outside the bundle, which would prove nothing.
    plain |= {"PIP_CONFIG_FILE": "/dev/null", "HRM_OTEL_ENDPOINT": "http://127.0.0.1:4318"}
    ended, trace = journey_of(command, tmp_path, cwd=ROOT / "dist" / "bundle", env=plain, timeout_s=2400)

    check(ended, trace, starts=2, told=2)
