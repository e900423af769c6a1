"""POST /v1/files: forms as clients send them, and everything that can be wrong with one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import get_ident
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.types import Staged
from server.schemas.files import FileObject
from server.schemas.objects import ErrorBody
from server.store_ports import Archive
from tests.fakes.serving import client_of, listening, services
from tests.retrieval.desk import WordsEmbedder

pytestmark = pytest.mark.anyio

LIMIT = 200_000
ASSISTANTS = {"purpose": "assistants"}


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data", WordsEmbedder()) as opened:
        yield opened


@pytest.fixture
async def client(library: Library) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(services(store=library, max_upload_bytes=LIMIT, max_body_bytes=1024), "sk-ines") as client:
        yield client


def error(response: httpx.Response) -> tuple[int, str, str | None]:
    ErrorBody.model_validate(response.json())
    found = response.json()["error"]
    return response.status_code, found["code"], found["param"]


async def test_a_large_file_arrives_byte_for_byte(client: httpx.AsyncClient, tmp_path: Path) -> None:
    data = bytes(range(256)) * (LIMIT // 256)

    response = await client.post("/v1/files", files={"file": ("all bytes.bin", data)}, data=ASSISTANTS)
    file = FileObject.model_validate(response.json())
    content = await client.get(f"/v1/files/{file.id}/content")

    assert response.status_code == 200
    assert (file.bytes, file.filename, file.status, file.access) == (len(data), "all bytes.bin", "processed", None)
    assert content.content == data
    assert content.headers["x-content-type-options"] == "nosniff"
    assert [path.name for path in (tmp_path / "data" / "files").iterdir()] == [file.id]


@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT])
async def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, tmp_path: Path, size: int
) -> None:
    response = await client.post("/v1/files", files={"file": ("a.txt", b"x" * size)}, data=ASSISTANTS)

    assert error(response) == (413, "request_too_large", None)
    assert str(LIMIT) in response.json()["error"]["message"] or size > LIMIT + 1
    assert list((tmp_path / "data" / "files").iterdir()) == []


async def test_other_bodies_keep_to_their_own_limit(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/vector_stores", json={"name": "x" * 2000})

    assert response.status_code == 413


@pytest.mark.parametrize(
    ("fields", "file", "expected"),
    [
        ({}, ("a.txt", b"x"), (400, "missing_required_parameter", "purpose")),
        ({"purpose": "fine-tune"}, ("a.txt", b"x"), (400, "unsupported_parameter", "purpose")),
        ({**ASSISTANTS, "color": "red"}, ("a.txt", b"x"), (400, "unknown_parameter", "color")),
        ({**ASSISTANTS, "access[read][]": "ann"}, ("a.txt", b"x"), (400, "invalid_value", "access.read[0]")),
        ({**ASSISTANTS, "access[rea": "ann"}, ("a.txt", b"x"), (400, "invalid_value", "access[rea")),
        ({**ASSISTANTS, "access": "x", "access[read]": "y"}, ("a.txt", b"x"), (400, "invalid_value", "access[read]")),
        (
            {**ASSISTANTS, "expires_after[anchor]": "created_at", "expires_after[seconds]": "60"},
            ("a.txt", b"x"),
            (400, "invalid_value", "expires_after.seconds"),
        ),
        ({**ASSISTANTS, "expires_after[seconds]": "x" * 70_000}, ("a.txt", b"x"), (413, "request_too_large", None)),
        (ASSISTANTS, ("a.txt", b""), (400, "invalid_value", "file")),
        (ASSISTANTS, ("x" * 256, b"x"), (400, "invalid_value", "file")),
    ],
)
async def test_what_is_wrong_with_a_form_is_named(
    client: httpx.AsyncClient, tmp_path: Path, fields: dict[str, str], file: Any, expected: object
) -> None:
    response = await client.post("/v1/files", files={"file": file}, data=fields)

    assert error(response) == expected
    assert list((tmp_path / "data" / "files").iterdir()) == []


FORM = "multipart/form-data; boundary=B"


@pytest.mark.parametrize(
    ("kind", "body", "param"),
    [
        ("application/json", b'{"purpose": "assistants"}', None),
        ("multipart/form-data", b"x", None),
        (f"multipart/form-data; boundary={'b' * 257}", b"x", None),
        (FORM, b"", None),
        (FORM, b"rubbish", None),
        (FORM, b"--B\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nx", None),
        (FORM, b"--B\r\nContent-Disposition: form-data; name=purpose\r\n\r\nassistants\r\n--B--\r\n", "file"),
        (FORM, b"--B\r\nContent-Disposition: form-data; name=file; filename=\xff\r\n\r\nx\r\n--B--\r\n", "file"),
        (FORM, b"--B\r\nContent-Disposition: form-data; name=purpose\r\n\r\n\xff\r\n--B--\r\n", "purpose"),
        (FORM, b"--B\r\nContent-Disposition: form-data; name=file; filename=a\x07b\r\n\r\nx\r\n--B--\r\n", "file"),
        (FORM, b"--B\r\n\r\nx\r\n--B--\r\n", "file"),
        (FORM, 2 * b"--B\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nx\r\n" + b"--B--\r\n", "file"),
    ],
)
async def test_what_is_no_form_is_a_400(client: httpx.AsyncClient, kind: str, body: bytes, param: str | None) -> None:
    response = await client.post("/v1/files", content=body, headers={"Content-Type": kind})

    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert "Traceback" not in response.text


@pytest.mark.parametrize("part", [b"--B\r\n\r\n\r\n", b"--B\r\nA:\r\n\r\n\r\n", b"--B\r\n\r\nx\r\n"])
async def test_a_form_has_no_parts_without_end(client: httpx.AsyncClient, part: bytes) -> None:
    response = await client.post("/v1/files", content=part * 3_000, headers={"Content-Type": FORM})

    assert error(response) == (413, "request_too_large", None)
    assert "2048 parts" in response.json()["error"]["message"]


async def test_a_form_may_name_many_who_read_the_file(client: httpx.AsyncClient) -> None:
    readers = [f"user:{number}" for number in range(64)]
    body = {**ASSISTANTS, "access[read][]": readers}

    response = await client.post("/v1/files", files={"file": ("a.txt", b"x")}, data=body)

    assert response.status_code == 200, response.text
    assert response.json()["access"]["read"] == sorted(readers)


async def test_the_disk_is_waited_for_in_another_thread(library: Library, tmp_path: Path) -> None:
    archive = NotingThreads(library.archive)
    given = replace(services(store=library), archive=lambda: archive)
    async with client_of(given, "sk-ines") as client:
        kept = await client.post("/v1/files", files={"file": ("a.txt", b"x")}, data=ASSISTANTS)
        refused = await client.post("/v1/files", files={"file": ("a.txt", b"")}, data=ASSISTANTS)

    assert (kept.status_code, refused.status_code) == (200, 400)
    assert [step for step, _ in archive.steps] == ["opened", "closed"] * 2
    assert get_ident() not in {thread for _, thread in archive.steps}
    assert [path.name for path in (tmp_path / "data" / "files").iterdir()] == [kept.json()["id"]]


class NotingThreads:
    """An archive that notes which thread opens and closes what is staged."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.steps: list[tuple[str, int]] = []

    @contextmanager
    def staging(self) -> Iterator[Staged]:
        with self._archive.staging() as staged:
            self.steps.append(("opened", get_ident()))
            try:
                yield staged
            finally:
                self.steps.append(("closed", get_ident()))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)


@pytest.mark.parametrize("path", ["../../etc/passwd", "C:\\secret\\passwd", "/passwd"])
async def test_a_name_with_folders_keeps_its_last_part(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post("/v1/files", files={"file": (path, b"x")}, data=ASSISTANTS)

    assert response.json()["filename"] == "passwd"


async def test_a_client_that_leaves_in_mid_upload_leaves_nothing(
    library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = tmp_path / "data" / "files"
    head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-ines\r\nContent-Type: {FORM}\r\n"
    part = b"--B\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n" + b"x" * 1000
    with caplog.at_level("INFO"):
        async with listening(services(store=library)) as url:
            stream = await anyio.connect_tcp("127.0.0.1", int(url.rpartition(":")[2]))
            await stream.send(f"{head}Content-Length: 5000\r\n\r\n".encode() + part)
            with anyio.fail_after(10):
                while not list(files.iterdir()):
                    await anyio.lowlevel.checkpoint()
                await stream.aclose()
                while list(files.iterdir()) or "status=499" not in caplog.text:
                    await anyio.lowlevel.checkpoint()

    assert "Traceback" not in caplog.text
