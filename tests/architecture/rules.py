"""Who may import whom, as data, and a checker over any tree, so that each rule can be shown to catch its violation."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

PACKAGES = ("hrm_model", "retrieval", "server", "clients", "release")
HEAVY = ("torch", "faiss", "vllm", "transformers", "sentence_transformers")
WEB = ("fastapi", "starlette", "uvicorn", "prometheus_client")

# Not even inside a function. Patterns are of `fnmatch`, so `*` crosses folders.
FORBIDDEN: Mapping[str, Sequence[str]] = {
    "hrm_model/*.py": ("server", "retrieval", "clients", "release", "tests", "pydantic", "faiss", "apsw", *WEB),
    "retrieval/*.py": ("server", "hrm_model", "clients", "release", "tests", *WEB),
    "server/*.py": ("clients", "release", "tests", *HEAVY),
    "clients/*.py": ("server", "retrieval", "hrm_model", "release", "tests"),
    "release/*.py": ("clients", "tests", *HEAVY, *WEB),
    "hrm_model/scheduler.py": ("torch", "numpy"),
    "hrm_model/sequence.py": ("torch", "numpy"),
}
# What the server may know of the other packages. The composition root alone may name the rest.
OPEN_TO_SERVER = {
    "hrm_model": ("types", "errors", "template", "tokenizer"),
    "retrieval": (
        "types",
        "errors",
        "claim",
        "database_file",
        "database_rows",
        "erasure",
        "facts",
        "locks",
        "personal",
    ),
}
COMPOSITION_ROOT = ("server/build.py", "server/building/*.py")  # what is put together, and its parts
# A library with one door: whoever replaces it has one file to read.
ONLY_IN: Mapping[str, Sequence[str]] = {
    "faiss": ("retrieval/index.py", "retrieval/graph.py"),
    "apsw": ("retrieval/database_file.py", "retrieval/store/database.py", "server/database.py"),
    "sqlite3": (),
    "sentence_transformers": ("retrieval/embedder.py",),
    "prometheus_client": ("server/metrics.py", "server/store_metrics.py"),
    "jwt": ("server/tokens.py", "server/jwks.py"),
    "opentelemetry": ("server/otel.py",),
    "llguidance": ("hrm_model/grammar_lane.py", "hrm_model/grammar_matching.py", "hrm_model/grammar_trial.py"),
    "os.environ": (
        "server/settings_reading.py",
        "release/bundle.py",
    ),  # a setting that is read elsewhere is one that nobody can look up
}
# What importing a module must not load, by whatever detour.
LIGHT: Mapping[str, Sequence[str]] = {
    "server/*.py": HEAVY,
    "server/app.py": ("opentelemetry",),  # an extra, which may not be there
    "server/build.py": ("opentelemetry",),
    "hrm_model/types.py": (*HEAVY, "numpy"),
    "hrm_model/errors.py": (*HEAVY, "numpy"),
    "hrm_model/template.py": (*HEAVY, "numpy"),
    "hrm_model/tokenizer.py": HEAVY,
    "retrieval/types.py": (*HEAVY, "numpy"),
    "retrieval/claim.py": (*HEAVY, "numpy"),
    "retrieval/erasure.py": (*HEAVY, "numpy"),
    "retrieval/facts.py": (*HEAVY, "numpy"),
    "retrieval/errors.py": (*HEAVY, "numpy"),
}


@dataclass(frozen=True, slots=True)
class Import:
    """One import as written: where, what, and whether it happens when the module is loaded."""

    line: int
    module: str
    at_load: bool


class Tree:
    """The Python files below a root, with what each imports."""

    def __init__(self, root: Path) -> None:
        self.imports: dict[str, list[Import]] = {}
        for top in PACKAGES:
            for path in sorted((root / top).rglob("*.py")):
                name = path.relative_to(root).as_posix()
                self.imports[name] = list(_imports(ast.parse(path.read_text(encoding="utf-8")), name))

    def violations(self) -> list[str]:
        """Every breach of the rules above, as `file:line imports module` with the reason."""
        return [*self._forbidden(), *self._closed(), *self._doors(), *self._detours()]

    def _forbidden(self) -> Iterator[str]:
        for pattern, packages in FORBIDDEN.items():
            for name, found in self._each(pattern):
                if any(_within(found.module, package) for package in packages):
                    yield f"{name}:{found.line} imports {found.module}, which {pattern} must not know"

    def _closed(self) -> Iterator[str]:
        for name, found in self._each("server/*.py"):
            package, _, rest = found.module.partition(".")
            if any(fnmatch(name, part) for part in COMPOSITION_ROOT) or package not in OPEN_TO_SERVER:
                continue
            if rest.split(".")[0] not in OPEN_TO_SERVER[package]:
                place = " and ".join(COMPOSITION_ROOT)
                yield f"{name}:{found.line} imports {found.module}, which only {place} may name"

    def _doors(self) -> Iterator[str]:
        for library, doors in ONLY_IN.items():
            for name, found in self._each("*"):
                if _within(found.module, library) and name not in doors and not name.startswith("clients/"):
                    place = " or ".join(doors) or "nowhere"
                    yield f"{name}:{found.line} imports {found.module}, whose place is {place}"

    def _detours(self) -> Iterator[str]:
        for pattern, packages in LIGHT.items():
            for name in self.imports:
                if fnmatch(name, pattern):
                    yield from self._reached(name, packages, trail=(name,), seen=set())

    def _reached(self, name: str, packages: Sequence[str], trail: tuple[str, ...], seen: set[str]) -> Iterator[str]:
        seen.add(name)
        for found in self.imports[name]:
            if not found.at_load:
                continue
            if any(_within(found.module, package) for package in packages):
                yield f"{trail[0]} loads {found.module} by way of {' -> '.join(trail)}:{found.line}"
            for file in self._files_of(found.module):
                if file not in seen:
                    yield from self._reached(file, packages, (*trail, file), seen)

    def _files_of(self, module: str) -> Iterator[str]:
        """The files that importing a module runs: its own, and the `__init__` of every package around it."""
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            stem = "/".join(parts[:end])
            yield from (name for name in (f"{stem}/__init__.py", f"{stem}.py") if name in self.imports)

    def _each(self, pattern: str) -> Iterator[tuple[str, Import]]:
        for name, imports in self.imports.items():
            if fnmatch(name, pattern):
                yield from ((name, found) for found in imports)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _imports(node: ast.AST, name: str, at_load: bool = True) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=aliases):
                yield from (Import(child.lineno, alias.name, at_load) for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                around = ".".join(name.split("/")[:-level]) if level else ""
                origin = ".".join(part for part in (around, module) if part)
                # `from package import module` loads the module, so both spellings are the same import.
                yield from (Import(child.lineno, f"{origin}.{alias.name}", at_load) for alias in aliases)
                if origin == "os" and any(alias.name == "getenv" for alias in aliases):
                    yield Import(child.lineno, "os.environ", at_load)
            case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module"), args=[ast.Constant(v)]):
                yield Import(child.lineno, str(v), at_load)
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "getenv"):
                yield Import(child.lineno, "os.environ", at_load)
        is_lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_for_types(child)
        yield from _imports(child, name, at_load and not is_lazy)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
