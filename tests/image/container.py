"""The built image, run as a careful orchestrator would: by an OCI runtime, with nothing that it does not ask for.

Root and images are buildah's, processes are runc's. The root is read-only, the network is a loopback interface.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

IMAGE = os.environ.get("IMAGE", "hrm-serve")
START_S = 180
STOP_S = 60


@dataclass(frozen=True, slots=True)
class Image:
    """What the image says of itself, and its files."""

    root: Path
    config: Mapping[str, Any]  # Docker's: Entrypoint, Cmd, Env, User, Volumes, Healthcheck, ...

    @property
    def user(self) -> tuple[int, int]:
        user, group = map(int, self.config["User"].split(":"))
        return user, group

    def bytes(self) -> int:
        """What its files take, those with two names once."""
        seen = {(found.st_dev, found.st_ino): found.st_size for found in map(os.lstat, self._files())}
        return sum(seen.values())

    def _files(self) -> Iterator[str]:
        for folder, _, names in os.walk(self.root):
            yield from (os.path.join(folder, name) for name in names)


@contextmanager
def mounted(name: str) -> Iterator[Image]:
    """The image of a name; its files are there until the end."""
    container = output("buildah", "from", "--pull-never", name)
    try:
        config = json.loads(output("buildah", "inspect", "--type", "image", name))["Docker"]["config"]
        yield Image(Path(output("buildah", "mount", container)), config)
    finally:
        output("buildah", "rm", container)


@dataclass
class Container:
    """A running container."""

    id: str
    process: "subprocess.Popen[bytes]"
    log: Path
    image: Image
    environment: Mapping[str, str] = field(default_factory=dict)  # beside the image's
    trust: Path | None = None  # the authority of its certificate; None: it speaks no TLS
    _pid: int | None = field(default=None, init=False)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command inside, as the image's user."""
        user, group = self.image.user
        flags = ["--user", f"{user}:{group}", "--cwd", "/data"]
        variables = [*self.image.config["Env"], *_spelled(self.environment)]
        flags += [part for variable in variables for part in ("--env", variable)]
        return subprocess.run(
            ["runc", "exec", *flags, self.id, *command], capture_output=True, text=True, timeout=300, check=False
        )

    def visit(self, path: str, *, key: str | None = None, body: Any = None) -> tuple[int, Any]:
        """Post JSON, or get where there is no body; status, and JSON where anything came back."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        method, text = ("GET", None) if body is None else ("POST", json.dumps(body))
        answer = self.send(method, path, {**headers, "content-type": "application/json"}, text)
        return answer.status, answer.json if answer.status else None

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        *,
        port: int = 8000,
    ) -> "Answer":
        """Make a request over the container's loopback interface."""
        asked = {
            "method": method,
            "url": f"{'https' if self.trust else 'http'}://127.0.0.1:{port}{path}",
            "headers": dict(headers or {}),
            "body": body,
            "trust": self.trust and str(self.trust),
        }
        command = [sys.executable, "-m", "tests.image.visitor"]
        said = output("nsenter", f"--net=/proc/{self.pid}/ns/net", *command, typed=json.dumps(asked))
        status, got, text = json.loads(said)
        return Answer(status, {name.lower(): value for name, value in got.items()}, text)

    @property
    def pid(self) -> int:
        if self._pid is None:
            self._pid = int(json.loads(output("runc", "state", self.id))["pid"])
        return self._pid

    def wait_until_ready(self) -> None:
        deadline = monotonic() + START_S
        while monotonic() < deadline and self.process.poll() is None:
            if (
                self.run(*self.image.config["Healthcheck"]["Test"][1:]).returncode == 0
                and self.visit("/readyz")[0] == 200
            ):
                return
            sleep(1)
        raise AssertionError(f"the container is not ready:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> int:
        """Ask it to end as an orchestrator does; its exit status."""
        output("runc", "kill", self.id, "TERM")
        return self.process.wait(timeout=STOP_S)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0: nothing."""

    status: int
    headers: Mapping[str, str]  # lower case
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@contextmanager
def running(
    image: Image,
    folder: Path,
    data: Path,
    secrets: Path,
    *command: str,
    environment: Mapping[str, str] | None = None,
    trust: Path | None = None,
) -> Iterator[Container]:
    """A container of the image over a volume and a folder of secrets; it is gone afterwards.

    Args:
        folder: for its bundle and log.
        command: instead of the image's.
        environment: beside the image's.
        trust: the authority of its certificate, where the environment names one.
    """
    environment = environment or {}
    identity = f"hrm-test-{uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(_spec(image, data, secrets, command, environment)))
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(["runc", "run", "--bundle", str(folder), identity], stdout=sink, stderr=sink)
    try:
        yield Container(identity, process, log, image, environment, trust)
    finally:
        subprocess.run(["runc", "delete", "--force", identity], capture_output=True, check=False)
        process.wait(timeout=STOP_S)


def output(*command: str, typed: str | None = None) -> str:
    """What a command prints; an AssertionError with its words if it fails."""
    ended = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
    return ended.stdout.strip()


def _spelled(environment: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]


def _spec(
    image: Image, data: Path, secrets: Path, command: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    user, group = image.user
    private = ["nosuid", "nodev", "noexec"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user, "gid": group},
            "args": [*image.config["Entrypoint"], *(command or image.config["Cmd"])],
            "env": [*image.config["Env"], *_spelled(environment)],
            "cwd": image.config["WorkingDir"],
            "capabilities": {name: [] for name in ("bounding", "effective", "permitted")},
            "noNewPrivileges": True,
        },
        "root": {"path": str(image.root), "readonly": True},
        "hostname": "hrm",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*private, "mode=1777"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*private, "ro"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": [*private, "mode=1777"]},
            {"destination": "/data", "type": "bind", "source": str(data), "options": ["rbind", *private]},
            {
                "destination": "/run/secrets",
                "type": "bind",
                "source": str(secrets),
                "options": ["rbind", "ro", *private],
            },
        ],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount")]},
    }
