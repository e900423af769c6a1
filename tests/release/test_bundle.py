"""The parts of a bundle that are not wheels: checksums, pinned requirements, instructions."""

import re
import subprocess
from pathlib import Path

from packaging.utils import canonicalize_name

from release.bundle import (
    ROOT,
    SERVER,
    SOURCES,
    add_documents,
    build_wheel,
    checksums,
    instructions,
    needed_by,
    requirements,
)
from release.closure import closure
from release.wheels import read_wheels
from tests.release.made import make_wheel


def test_the_checksums_are_those_that_sha256sum_checks(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("a")
    (tmp_path / "b.whl").write_bytes(b"b")
    (tmp_path / "SHA256SUMS").write_text(checksums(tmp_path))

    def check() -> int:
        command = ["sha256sum", "--quiet", "--check", "SHA256SUMS"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert check() == 0
    (tmp_path / "docs" / "a.md").write_text("A")
    assert check() == 1


def test_requirements_pin_the_version_and_the_digest_of_what_belongs_to_them(tmp_path: Path) -> None:
    make_wheel(tmp_path, "one")
    make_wheel(tmp_path, "two")
    [one, _] = wheels = read_wheels(tmp_path)

    assert requirements(wheels, [canonicalize_name("one")]) == f"one==1.0 --hash=sha256:{one.sha256}\n"


def test_optional_parts_are_in_the_bundle_and_developers_tools_are_not(tmp_path: Path) -> None:
    extras = ["Provides-Extra: traces", "Provides-Extra: dev"]
    requires = ["Requires-Dist: a>=1", "Requires-Dist: b; extra == 'traces'", "Requires-Dist: c; extra == 'dev'"]
    make_wheel(tmp_path, "one", *extras, *requires)
    [one] = read_wheels(tmp_path)

    assert {text.split(";")[0].strip() for text in needed_by(one)} == {"a>=1", "b"}


def test_a_site_can_turn_tracing_on_since_its_extra_is_in_every_bundle(tmp_path: Path) -> None:
    source, _ = SOURCES[SERVER]
    build_wheel(source, ("pyproject.toml", "README.md", "LICENSE"), tmp_path)
    [wheel] = read_wheels(tmp_path)

    found = closure(needed_by(wheel))

    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "torch"} <= found.keys()
    assert "pytest" not in found


def test_the_instructions_name_the_python_they_are_for() -> None:
    text = instructions()

    assert "Made for CPython 3." in text
    assert "{" not in text


def test_whatever_of_deploy_the_documents_name_is_in_the_bundle_with_its_checksum(tmp_path: Path) -> None:
    add_documents(ROOT, tmp_path)
    summed = {line.partition("  ")[2] for line in checksums(tmp_path).splitlines()}

    read = [tmp_path / "README.md", tmp_path / "SECURITY.md", *(tmp_path / "docs").glob("*.md")]
    named = {found for path in read for found in re.findall(r"\bdeploy/[\w./-]*\w", path.read_text())}
    assert {"deploy/compose.yaml", "deploy/alerts.yml", "deploy/dashboard.json", "deploy/kubernetes"} <= named
    assert not {name for name in named if not (tmp_path / name).exists()}
    assert {name for name in named if (tmp_path / name).is_file()} <= summed
    assert "deploy/kubernetes/statefulset.yaml" in summed


def test_secrets_that_were_made_for_compose_and_kubernetes_stay_here(tmp_path: Path) -> None:
    source, bundle = tmp_path / "source", tmp_path / "bundle"
    bundle.mkdir()
    source.mkdir()
    add_documents(ROOT, source)
    ignored = [line for line in (ROOT / ".gitignore").read_text().splitlines() if line.startswith("/deploy/**/")]
    secrets = {line.removeprefix("/deploy/**/") for line in ignored}
    for name in secrets:
        (source / "deploy" / name).write_text("hrm_secret")
        (source / "deploy" / "kubernetes" / name).write_text("hrm_secret")

    add_documents(source, bundle)

    assert {"first_key", "grafana_password"} <= secrets
    assert not secrets & {path.name for path in bundle.rglob("*")}
