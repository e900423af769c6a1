"""The file that carries an image to another machine, made as docs/image.md says."""

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.image

DOCS = Path(__file__).parents[2] / "docs" / "image.md"


def test_the_health_check_is_in_the_file_that_carries_the_image(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY Dockerfile /\nHEALTHCHECK CMD ["/check"]\n')
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}

    def buildah(*arguments: str) -> None:
        storage = ("--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"))
        subprocess.run(["buildah", *storage, *arguments], cwd=tmp_path, env=environment, check=True)

    said = re.search(r"`buildah push (hrm-serve) (\S+)`", DOCS.read_text())
    assert said is not None
    buildah("build", "--format", "docker", "--tag", said[1], ".")
    buildah("push", *said.groups())

    with tarfile.open(tmp_path / "hrm-serve.tar") as archive:
        [manifest] = json.loads(_read(archive, "manifest.json"))
        config = json.loads(_read(archive, manifest["Config"]))["config"]
    assert config["Healthcheck"]["Test"] == ["CMD", "/check"]
    assert any(tag.endswith("/hrm-serve:latest") for tag in manifest["RepoTags"])


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, f"{name} is a file"
    return file.read()
