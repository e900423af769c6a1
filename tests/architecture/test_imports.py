"""Imports point one way. A failure names the file and the line; each rule is shown to catch a planted violation."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.rules import HEAVY, Tree

ROOT = Path(__file__).parents[2]

PLANTED = {
    "the model knows no server": ("hrm_model/a.py", "import server.app", "hrm_model/a.py:1 imports server.app"),
    "the model knows no retrieval": ("hrm_model/a.py", "from retrieval import types", "imports retrieval.types"),
    "the model knows no HTTP": ("hrm_model/training/a.py", "import fastapi", "imports fastapi"),
    "retrieval knows no model": ("retrieval/a.py", "from hrm_model.types import Text", "imports hrm_model.types.Text"),
    "retrieval knows no server": ("retrieval/a.py", "from server.ports import Engine", "imports server.ports.Engine"),
    "lower packages emit no metrics": ("retrieval/a.py", "import prometheus_client", "imports prometheus_client"),
    "the server names no tensors": ("server/a.py", "def f():\n    import torch", "server/a.py:2 imports torch"),
    "the server names no engine": ("server/deps.py", "from hrm_model.engine import E", "only server/build.py and"),
    "the server names no store": ("server/routes/a.py", "from retrieval import store", "only server/build.py and"),
    "not even from a package": ("server/a.py", "import retrieval", "server/a.py:1 imports retrieval, which only"),
    "nor in the composition root": ("server/build.py", "import faiss", "server/build.py:1 imports faiss"),
    "clients know nothing of ours": ("clients/python/a.py", "import hrm_model.types", "imports hrm_model.types"),
    "what runs knows no release": ("server/a.py", "from release import wheels", "imports release.wheels"),
    "tests are not imported": ("server/a.py", "from tests.fakes import Shelf", "imports tests.fakes.Shelf"),
    "the scheduler has no tensors": ("hrm_model/scheduler.py", "import torch", "hrm_model/scheduler.py:1 imports"),
    "faiss has one door": ("retrieval/retriever.py", "import faiss", "whose place is retrieval/index.py"),
    "apsw has three doors": ("server/auth.py", "import apsw", "retrieval/store/database.py or server/database.py"),
    "llguidance has three doors": ("hrm_model/engine.py", "import llguidance", "hrm_model/grammar_lane.py or hrm"),
    "sqlite3 has none": ("retrieval/store/database.py", "import sqlite3", "imports sqlite3, whose place is nowhere"),
    "metrics have one door": ("server/app.py", "from prometheus_client import Counter", "server/metrics.py"),
    "spans have one door": ("server/app.py", "from opentelemetry import trace", "whose place is server/otel.py"),
    "and it stays shut unless asked for": (
        "server/build.py",
        "from opentelemetry import trace",
        "server/build.py loads opentelemetry.trace by way of",
    ),
    "the embedder has one door": ("retrieval/ingest.py", "import sentence_transformers", "retrieval/embedder.py"),
    "the environment has one reader": ("server/app.py", "import os\nx = os.environ['A']", "server/app.py:2 imports os"),
    "by any of its names": ("retrieval/a.py", "import os\nx = os.getenv('A')", "retrieval/a.py:2 imports os.environ"),
    "or imported": ("hrm_model/a.py", "from os import environ", "hrm_model/a.py:1 imports os.environ"),
    "import_module is an import": (
        "server/a.py",
        "import importlib\nimportlib.import_module('torch')",
        "imports torch",
    ),
    "and so is __import__": ("server/a.py", "__import__('torch')", "server/a.py:1 imports torch"),
    "under either name": ("hrm_model/a.py", "from os import getenv", "hrm_model/a.py:1 imports os.environ"),
}


def plant(root: Path, **files: str) -> None:
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def test_the_tree_keeps_the_rules() -> None:
    assert Tree(ROOT).violations() == []


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_violation_is_caught(rule: str, tmp_path: Path) -> None:
    name, source, expected = PLANTED[rule]
    plant(tmp_path, **{name: source})

    found = Tree(tmp_path).violations()

    assert any(expected in line for line in found), found


def test_what_the_rules_allow_is_not_reported(tmp_path: Path) -> None:
    plant(
        tmp_path,
        **{
            "hrm_model/engine.py": "import torch",
            "hrm_model/types.py": "import dataclasses",
            "retrieval/index.py": "import faiss",
            "retrieval/store/database.py": "import apsw",
            "server/settings_reading.py": "import os\nx = os.environ.get('HRM_A')",
            "server/database.py": "import apsw",
            "server/metrics.py": "import prometheus_client",
            "server/build.py": "def f():\n    from hrm_model.engine import load_engine",
            "server/building/store.py": "def f():\n    from retrieval.library import Library",
            "server/app.py": "import os\nfrom hrm_model import types\nfrom hrm_model.errors import EngineError",
            "clients/python/a.py": "import os\nx = os.environ['OPENAI_API_KEY']",
        },
    )

    assert Tree(tmp_path).violations() == []


def test_a_detour_over_other_modules_is_followed(tmp_path: Path) -> None:
    plant(
        tmp_path,
        **{
            "server/app.py": "from server import build",
            "server/build.py": "from hrm_model.engine import load_engine",
            "hrm_model/engine.py": "from .runner import Runner",
            "hrm_model/runner.py": "import torch",
        },
    )

    found = Tree(tmp_path).violations()

    assert (
        "server/app.py loads torch by way of server/app.py -> server/build.py -> hrm_model/engine.py "
        "-> hrm_model/runner.py:1"
    ) in found


def test_a_detour_over_a_package_is_followed(tmp_path: Path) -> None:
    plant(
        tmp_path,
        **{"hrm_model/__init__.py": "import torch", "hrm_model/types.py": "", "server/a.py": "import hrm_model.types"},
    )

    found = Tree(tmp_path).violations()

    assert "server/a.py loads torch by way of server/a.py -> hrm_model/__init__.py:1" in found


def test_an_import_for_types_alone_loads_nothing(tmp_path: Path) -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hrm_model.engine import Engine"
    plant(tmp_path, **{"server/build.py": source, "hrm_model/engine.py": "import torch"})

    assert Tree(tmp_path).violations() == []


def loaded_by(modules: str) -> set[str]:
    code = f"import sys, {modules}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["server.app", "server.cli", "server.build", "server.building.upkeep", "server.settings", "hrm_model.tokenizer"],
)
def test_the_http_layer_and_the_command_line_load_nothing_heavy(module: str) -> None:
    assert loaded_by(module).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "hrm_model.types",
        "hrm_model.errors",
        "hrm_model.template",
        "retrieval.types",
        "retrieval.errors",
        "retrieval.erasure",
        "retrieval.facts",
    ],
)
def test_the_vocabularies_load_the_standard_library_alone(module: str) -> None:
    foreign = {name.split(".")[0] for name in loaded_by(module)} - sys.stdlib_module_names - loaded_by("sys")

    assert foreign <= {"hrm_model", "retrieval"}
