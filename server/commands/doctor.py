"""`hrm-serve doctor`: is anything wrong with this installation, and what can be done about it."""

import inspect
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from server.commands.serve import flags
from server.commands.terminal import CommandError, checked, printable
from server.settings import Settings
from server.settings_reading import SettingsError

_MARKS = {"ok": "ok", "warning": "!", "error": "!!"}


def doctor(as_json: bool = False, **given: str | None) -> None:
    """Look at settings, data, model, TLS, port and memory, and say what is wrong. Changes nothing.

    Takes the flags of `serve`, and reads the same file and environment. The exit status is 1 if anything keeps the
    server from its work; warnings alone leave it 0.
    """
    from server.doctor import examine
    from server.finding import Finding

    findings: Iterable[Finding]
    try:
        settings = checked(Settings.load({name: value for name, value in given.items() if value is not None}))
    except (SettingsError, CommandError) as error:
        findings = [Finding("settings", "error", line, "README.md lists them") for line in str(error).splitlines()]
    else:
        findings = examine(settings)
    is_ill = False
    kept: list[dict[str, Any]] = []
    for finding in findings:
        is_ill = is_ill or finding.level == "error"
        kept.append(asdict(finding))
        if not as_json:
            todo = f" -> {finding.todo}" if finding.todo else ""
            print(f"{_MARKS[finding.level]:2} {finding.about}: {printable(finding.said + todo)}", flush=True)
    if as_json:
        print(json.dumps(kept, indent=2))
    sys.exit(int(is_ill))


_AS_JSON = Annotated[bool, typer.Option("--json", help="Print a list of objects instead of lines.")]
_JSON = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_AS_JSON)
doctor.__signature__ = inspect.Signature([_JSON, *flags()])  # type: ignore[attr-defined]
doctor.__annotations__ = {parameter.name: parameter.annotation for parameter in (_JSON, *flags())}
