"""Containers of the built image over a volume that lives on between them."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.image.container import IMAGE, Container, Image, mounted, running

KEY = f"hrm_{secrets.token_urlsafe(32)}"
Start = Callable[..., AbstractContextManager[Container]]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with mounted(IMAGE) as image:
        yield image


@pytest.fixture(scope="module")
def volume(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lives on between containers."""
    folder = tmp_path_factory.mktemp("volume")
    os.chown(folder, *image.user)
    return folder


@pytest.fixture(scope="module")
def start(image: Image, volume: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a container over the volume, with or without the file of the first key, and with other secrets."""

    def start(
        *command: str,
        key: str | None = KEY,
        files: Mapping[str, bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        trust: Path | None = None,
    ) -> AbstractContextManager[Container]:
        folder = tmp_path_factory.mktemp("container")
        folder.chmod(0o755)
        (folder / "secrets").mkdir()
        if key is not None:
            (folder / "secrets" / "hrm_first_key").write_text(f"{key}\n")
        for name, content in (files or {}).items():
            (folder / "secrets" / name).write_bytes(content)
        bundle, given = folder / "bundle", folder / "secrets"
        return running(image, bundle, volume, given, *command, environment=environment, trust=trust)

    return start
