"""The client as a package: it stands alone, it is typed, and its README tells the truth."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hrm_client import terminal

from tests.clients.stub import Refusal, StubServer

CLIENT = Path(__file__).parents[2] / "clients" / "python"
README = (CLIENT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
URL = "http://127.0.0.1:8000/v1"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built from a copy of its folder and installed without its dependencies."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(
        CLIENT, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__", ".*_cache")
    )
    # Without isolation, pip builds with the setuptools that is here and needs no network.
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"),
            *("--no-deps", "--no-build-isolation", "--target", str(folder / "site"), str(folder / "source")),
        ],
        check=True,
        cwd=folder,
    )
    return folder / "site"


def run(code: str, site: Path, *options: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=site,
        env={**clean, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_installs_on_its_own_and_loads_nothing_of_the_server(installed: Path) -> None:
    code = (
        "import sys, hrm_client; print(hrm_client.__file__); "
        "ours = {'server', 'retrieval', 'hrm_model', 'torch', 'faiss', 'fastapi'}; "
        "sys.exit(', '.join(ours & sys.modules.keys()) or None)"
    )

    result = run(code, installed)

    assert (result.stderr, result.returncode) == ("", 0)
    assert Path(result.stdout.strip()).is_relative_to(installed)


def test_it_needs_the_official_client_and_nothing_else() -> None:
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    imported = {
        name.split(".")[0]
        for path in (CLIENT / "hrm_client").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert project["dependencies"] == ["openai>=3"]
    assert imported - sys.stdlib_module_names == {"openai", "hrm_client"}


def test_it_brings_its_types_and_its_command(installed: Path) -> None:
    assert (installed / "hrm_client" / "py.typed").is_file()
    assert (installed / "bin" / "hrm-ask").is_file()


def test_the_installed_command_knows_its_version(installed: Path) -> None:
    result = run("from hrm_client.terminal import main; main(['--version'])", installed)

    assert result.stdout == "hrm-ask 0.1.0\n"


def test_a_program_that_uses_it_is_type_checked(installed: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from hrm_client import HrmClient\n"
        "def days(client: HrmClient) -> int:\n"
        "    return client.ask('How many?', grounding='perhaps').text\n"
    )

    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", os.devnull, str(program)],
        env={**os.environ, "MYPYPATH": "", "PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert re.findall(r"\[([\w-]+)\]$", result.stdout, re.MULTILINE) == ["return-value", "arg-type"]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_in_the_readme_runs(example: str, server: StubServer) -> None:
    assert URL in example
    expected = "27 working days. [1]"
    if "NotFoundError" in example:
        server.reply = Refusal(404, "No vector store found with id 'no-such-store'.", "vector_store_not_found")
        expected = "vector_store_not_found"

    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", example.replace(URL, server.url)],
        env={**os.environ, "PYTHONPATH": str(CLIENT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.stderr, result.returncode) == ("", 0)
    assert expected in result.stdout


def test_the_readme_has_examples_of_every_way_to_ask() -> None:
    text = "\n".join(EXAMPLES)

    assert [way for way in ("client.ask(", "client.stream(", "AsyncHrmClient", "openai.") if way not in text] == []


def test_the_readme_lists_the_options_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        terminal.main(["--help"])

    spelled = set(re.findall(r"--\w+", capsys.readouterr().out)) - {"--help"}
    listed = set(re.findall(r"^\| `(--\w+)", README, re.MULTILINE))
    assert listed == spelled
