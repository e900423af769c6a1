"""What openapi.yaml promises, asked by schemathesis: no server errors, and every response as it is described."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.abuse.serving import served

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")

_CLI = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"


async def schemathesis(url: str, folder: Path, examples: int, seed: int) -> tuple[int, str]:
    """Ask the served routes; the exit status, and what was said. A process: it waits for each response."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-c", _CLI, "run", str(ROOT / "openapi.yaml"), "--url", url),
        *("--header", "Authorization: Bearer sk-admin", "--checks", ",".join(CHECKS)),
        *("--phases", "examples,fuzzing", "--max-examples", str(examples), "--seed", str(seed)),
        *("--generation-database", "none", "--suppress-health-check", "all", "--no-color"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace")


async def test_every_route_keeps_its_description(tmp_path: Path) -> None:
    async with served(tmp_path) as url:
        status, said = await schemathesis(url, tmp_path, examples=3, seed=1)

    assert status == 0, said[-6000:]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 6))
async def test_and_does_so_for_longer(seed: int, tmp_path: Path) -> None:
    async with served(tmp_path) as url:
        status, said = await schemathesis(url, tmp_path, examples=200, seed=seed)

    assert status == 0, said[-6000:]
