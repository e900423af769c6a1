"""`hrm-serve serve` as a process of its own, over a small random checkpoint, watched for calls to the network."""

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx

from hrm_model.config import HrmConfig
from hrm_model.training.start import initialise
from hrm_model.training.vocabulary import train_tokenizer
from hrm_model.weights import save_checkpoint

ROOT = Path(__file__).parents[2]
# The machine may be busy with other tests; a healthy start takes a tenth of this.
START_S = 90
TEXTS = ("Marta Velin leads the claims desk. Reports of damage reach it within 14 days.",) * 8

# Before anything else runs: whatever asks for a name or an address beyond this machine fails and leaves a note.
CUT_OFF = """
import sys
def watch(event, arguments, beyond=open(sys.argv.pop(1), "a", buffering=1)):
    host = None
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    if host not in (None, "", b"", "localhost", "127.0.0.1", "::1"):
        print(event, host, file=beyond)
        raise OSError("the network is cut")
sys.addaudithook(watch)
"""
_SERVE = "from server.cli import main\nsys.exit(main())"
# Run before it, to the same end as an operation of the processor's libraries that does not return.
STUCK_ENGINE = """
import threading, time
def stop(frame, event, _, seen=[0]):
    if event == "call" and frame.f_code.co_qualname == "Stepper.step":
        seen[0] += 1
        while seen[0] > 5:
            time.sleep(1)
threading.setprofile(stop)
"""


def write_checkpoint(folder: Path) -> Path:
    """A network of random weights that the real loader accepts; what it says is noise, but real noise."""
    train_tokenizer(TEXTS, 512, folder)
    config = HrmConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        layers_per_stack=1,
        num_heads=1,
        head_dim=64,
        max_position_embeddings=2048,
        embedding_scale=8.0,
        dtype="float32",
    )
    save_checkpoint(folder, config, initialise(config, seed=7).state_dict(), {})
    return folder


@dataclass
class Served:
    """A running server."""

    url: str
    data: Path
    process: "subprocess.Popen[bytes]"
    beyond: Path
    log: Path
    verify: ssl.SSLContext | bool = True  # what a client trusts, where the server speaks TLS

    @property
    def metrics_url(self) -> str:
        """Base URL of the metrics' own listener, where there is one."""
        (line,) = [line for line in self.log.read_text().splitlines() if "metrics are at " in line]
        return line.split("metrics are at ")[1].removesuffix("/metrics")

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run another `hrm-serve` command over the same data."""
        return hrm_serve(*arguments, "--data-dir", str(self.data))

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ready(self) -> str | None:
        """Why it is not ready, None if it is."""
        response = httpx.get(f"{self.url}/readyz", timeout=10, verify=self.verify)
        return None if response.status_code == 200 else str(response.json()["error"]["message"])


def hrm_serve(*arguments: str, timeout_s: float = 120) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "server.cli", *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def environment() -> dict[str, str]:
    """This process's environment without settings of ours; one thread, since tests share the machine."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("HRM_")}
    return {**kept, "OMP_NUM_THREADS": "1"}


@contextmanager
def serving(
    folder: Path,
    checkpoint: Path,
    flags: Sequence[str] = (),
    *,
    wait: bool = True,
    verify: ssl.SSLContext | bool = True,
    before: str = "",
) -> Iterator[Served]:
    """Start a server on a free port, by default wait until it is ready, and end it.

    Args:
        before: code that runs in the process before the server's.
    """
    log, beyond = folder / "serve.log", folder / "beyond.txt"
    arguments = ["serve", "--model", str(checkpoint), "--data-dir", str(folder / "data"), "--port", "0", *flags]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-c", "\n".join((CUT_OFF, before, _SERVE)), str(beyond), *arguments],
            cwd=ROOT,
            env=environment(),
            stdout=sink,
            stderr=sink,
        )
    try:
        served = Served(_url(process, log), folder / "data", process, beyond, log, verify)
        while wait and served.ready() is not None:
            sleep(0.1)
        yield served
        assert beyond.read_text() == "", "the server asked the network for something"
    finally:
        process.kill()
        process.wait()


def _url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = monotonic() + START_S
    while monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if "listening on " in line:
                return line.split("listening on ")[1].split(",")[0]
        sleep(0.05)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")
