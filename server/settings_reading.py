"""Where settings are read from: environment, then file, then flags; and what is said of a mistake in them.

Knows no setting by its name, and is the only place that looks at the environment.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.config import JsonDict
from pydantic_settings import BaseSettings, EnvSettingsSource, TomlConfigSettingsSource

PREFIX = "HRM_"
CONFIG = "HRM_CONFIG"  # names the TOML file, so it cannot stand in it
OF_CLIENTS = frozenset({"HRM_API_KEY"})  # set for hrm-ask by people who run both
DEFAULT_CONFIG = Path("hrm-serve.toml")

_SPELLED = "spelled"

S = TypeVar("S", bound=BaseSettings)


class SettingsError(ValueError):
    """The settings cannot be used; one line for each thing that is wrong with them."""


def read(cls: type[S], flags: Mapping[str, str]) -> S:
    """Build settings of a class from the three layers, of which the later one holds.

    Args:
        flags: field names to text.

    Raises:
        SettingsError: a value is invalid, or a name is not a setting; each mistake with where it was made.
    """
    layers = [
        _environment(cls),
        _file(cls),
        ({name: f"--{dashed(name)}" for name in flags}, dict(flags)),
    ]
    origins: dict[str, str] = {}
    values: dict[str, Any] = {}
    for where, layer in layers:
        origins |= where
        values |= layer
    try:
        return cls(**values)
    except ValidationError as error:
        raise SettingsError(_in_words(cls, error, origins)) from error


def variable(name: str, otherwise: str) -> str:
    """A variable that is no setting of ours, as a library reads it."""
    return os.environ.get(name, otherwise)


def dashed(name: str) -> str:
    """A field's name as a flag spells it, without the two dashes."""
    return name.replace("_", "-")


def _environment(cls: type[BaseSettings]) -> tuple[dict[str, str], dict[str, Any]]:
    known = {PREFIX + name.upper(): name for name in cls.model_fields}
    present = {name for name in os.environ if name.upper().startswith(PREFIX)} - {CONFIG, *OF_CLIENTS}
    _refuse_unknown(present - known.keys(), known, "the environment")
    # `-e HRM_X=` and `${HRM_X:-}` in compose files mean that X is not set.
    values = EnvSettingsSource(cls, env_ignore_empty=True)()
    return {name: PREFIX + name.upper() for name in values}, values


def _file(cls: type[BaseSettings]) -> tuple[dict[str, str], dict[str, Any]]:
    chosen = os.environ.get(CONFIG)
    path = Path(chosen) if chosen else DEFAULT_CONFIG
    if not path.is_file():
        if chosen:
            raise SettingsError(f"{CONFIG} names {path}, which is not a file.")
        return {}, {}
    try:
        values = TomlConfigSettingsSource(cls, toml_file=path)()
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8: byte {error.start} cannot be read; save it as UTF-8.") from error
    _refuse_unknown(values.keys() - cls.model_fields.keys(), cls.model_fields, str(path))
    return {name: f"{name} in {path}" for name in values}, values


def _refuse_unknown(names: Iterable[str], known: Iterable[str], where: str) -> None:
    lines = []
    for name in sorted(names):
        near = get_close_matches(name.lower(), [candidate.lower() for candidate in known], n=1)
        spelled = next((candidate for candidate in known if near and candidate.lower() == near[0]), None)
        lines.append(f"{name} in {where} is not a setting." + (f" Did you mean {spelled}?" if spelled else ""))
    if lines:
        raise SettingsError("\n".join(lines))


def spelled(words: str) -> JsonDict:
    """What a field with a pattern says beside it, for people: what it must be."""
    return {_SPELLED: words}


def _in_words(cls: type[BaseSettings], error: ValidationError, origins: Mapping[str, str]) -> str:
    lines = []
    for problem in error.errors():
        if not problem["loc"]:  # about several settings, which it names itself
            lines.append(f"{problem['msg']}.")
            continue
        name = str(problem["loc"][0])
        reason = problem["msg"]
        if problem["type"] == "string_pattern_mismatch":
            beside = cls.model_fields[name].json_schema_extra
            assert isinstance(beside, dict), f"{name} has a pattern, and no words for it"
            reason = f"it must be {beside[_SPELLED]}"
        lines.append(f"{origins.get(name, name)}: {reason} (it is {_without_password(str(problem['input']))}).")
    return "\n".join(dict.fromkeys(lines))


def _without_password(value: str) -> str:
    """A refused value, for a screen or a log: of an address that names a user, what comes after that."""
    return re.sub(r"^(\w+://)?.*@", r"\1***@", value, flags=re.DOTALL)
