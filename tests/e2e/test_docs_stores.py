"""docs/stores.md: its examples run as they stand, but for the address and the key."""

import re
import sys
from pathlib import Path

import anyio
import pytest

from tests.e2e.stores import shop

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "stores.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert ADDRESS in found
    return str(found)


async def test_the_curl_example_uploads_finds_and_deletes(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _):
        # curl of the example calls as a caller with a key.
        script = f'curl() {{ command curl -H "Authorization: Bearer sk-ines" "$@"; }}\n{example("sh")}'
        ended = await anyio.run_process(
            ["bash", "-euo", "pipefail", "-c", script.replace(ADDRESS, url)], cwd=tmp_path, check=False
        )

    assert ended.returncode == 0, ended.stderr.decode()
    said = ended.stdout.decode()
    assert '"text":"The canteen opens at noon. On Fridays there is fish."' in said
    assert "canteen{" in said
    assert said.endswith('"object":"vector_store.deleted","deleted":true}')


async def test_the_python_example_uploads_finds_and_deletes(tmp_path: Path) -> None:
    async with shop(tmp_path) as (url, _):
        script = example("python").replace(ADDRESS, url).replace("none-yet", "sk-ines")
        ended = await anyio.run_process([sys.executable, "-c", script], cwd=tmp_path, check=False)

    assert ended.returncode == 0, ended.stderr.decode()
    found, held = ended.stdout.decode().splitlines()
    assert found.startswith("glass.txt 0.")
    assert found.endswith("Glass damage has no excess. Report it within 14 days.")
    assert "completed" in held
