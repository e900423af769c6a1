"""What a security reviewer tries on the built image: run without privileges, network or a writable root, it serves."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.airgap.journey import MODEL, QUESTION
from tests.image.conftest import KEY, Start
from tests.image.container import Container, Image

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]

BUDGET_MB = 1300


@pytest.fixture(scope="module")
def served(start: Start) -> Iterator[Container]:
    """A container that has taken in the sample documents and is ready for questions."""
    with start("serve", "--default-store", "handbook") as container:
        container.wait_until_ready()
        taken = container.run("sh", "-c", "hrm-serve ingest $(hrm-serve samples) --store handbook --read '*'")
        assert taken.returncode == 0, taken.stderr
        yield container


def ask(container: Container, key: str | None) -> tuple[int, Any]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
    return container.visit("/v1/chat/completions", key=key, body=body)


def test_without_a_key_it_says_what_to_do_and_leaves(start: Start) -> None:
    with start(key=None) as container:
        assert container.process.wait(timeout=120) == 1
        said = container.log.read_text()

    assert "hrm-serve keys create" in said
    assert "Traceback" not in said


def test_it_answers_from_the_sample_documents_and_cites_them(served: Container) -> None:
    status, answer = ask(served, KEY)

    assert status == 200
    assert "twelve months [1]" in answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize("key", [None, "hrm_wrong", KEY + "x"])
def test_it_answers_nobody_without_the_key(served: Container, key: str | None) -> None:
    status, answer = ask(served, key)

    assert status == 401
    assert "choices" not in answer


def test_the_health_check_of_the_image_passes(served: Container) -> None:
    kind, *command = served.image.config["Healthcheck"]["Test"]

    assert kind == "CMD"
    assert served.run(*command).returncode == 0


def test_it_is_nobody_in_particular_and_has_no_privileges(served: Container) -> None:
    status = served.run("cat", "/proc/1/status").stdout

    assert "Uid:\t10001\t10001\t10001\t10001" in status
    assert "Gid:\t10001\t10001\t10001\t10001" in status
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_it_writes_to_its_volume_and_to_tmp_alone(served: Container) -> None:
    for folder in ("/", "/opt/hrm", "/etc", "/run", "/var/tmp"):
        refused = served.run("touch", f"{folder}/written")
        assert "Read-only file system" in refused.stderr, folder
    for folder in ("/data", "/tmp"):
        assert served.run("touch", f"{folder}/written").returncode == 0
    assert served.image.config["Volumes"] == {"/data": {}}


def test_it_has_no_network_but_loopback(served: Container) -> None:
    assert served.run("ls", "/sys/class/net").stdout.split() == ["lo"]
    assert len(served.run("cat", "/proc/net/route").stdout.splitlines()) == 1, "the heading"


def test_no_program_in_it_raises_privileges(image: Image) -> None:
    found = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
    raising = [path.relative_to(image.root).as_posix() for path in found if path.stat().st_mode & 0o6000]

    assert raising == []


def test_it_holds_no_compiler_no_pip_and_no_bundle(image: Image) -> None:
    for name in ("gcc", "pip", "pip3", "strip", "curl", "wget"):
        assert not list(image.root.glob(f"usr/bin/{name}")) + list(image.root.glob(f"opt/hrm/bin/{name}"))
    assert not (image.root / "bundle").exists()


def test_it_keeps_to_its_size(image: Image) -> None:
    assert image.bytes() / 1e6 <= BUDGET_MB


def test_it_stops_when_asked_and_goes_on_over_the_same_volume(served: Container, start: Start) -> None:
    _, before = ask(served, KEY)
    assert served.stop() == 0

    other = f"hrm_{secrets.token_urlsafe(32)}"
    with start("serve", "--default-store", "handbook", key=other) as container:
        container.wait_until_ready()
        status, after = ask(container, KEY)
        with_the_new_file, _ = ask(container, other)

    assert status == 200
    assert after["choices"][0]["message"]["content"] == before["choices"][0]["message"]["content"]
    assert with_the_new_file == 401, "the file is for a server that has no key at all"
