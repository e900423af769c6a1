"""`hrm-serve serve`: one flag for each setting, then the server until it is told to stop."""

import inspect
from typing import Annotated

import typer

from server.commands.terminal import checked
from server.settings import Settings
from server.settings_reading import dashed


def serve(**flags: str | None) -> None:
    """Serve the model over HTTP until SIGTERM or Ctrl-C.

    Every flag can also stand in hrm-serve.toml (or the file that HRM_CONFIG names) and in the environment as
    HRM_NAME; flags win over the file, the file over the environment.
    """
    settings = checked(Settings.load({name: value for name, value in flags.items() if value is not None}))
    from server.build import serve as run

    run(settings)


def _flag(name: str) -> inspect.Parameter:
    info = Settings.model_fields[name]
    # Text, whatever the setting's type: the settings check it, as they check the file and the environment.
    option = typer.Option(f"--{dashed(name)}", help=info.description, show_default=False, metavar="VALUE")
    kind = Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def flags() -> list[inspect.Parameter]:
    """One parameter for each setting, as Typer reads it."""
    return [_flag(name) for name in Settings.model_fields]


# Typer reads a command's flags from its signature, and the settings class is where they are declared.
serve.__signature__ = inspect.Signature(flags())  # type: ignore[attr-defined]
serve.__annotations__ = {name: parameter.annotation for name, parameter in inspect.signature(serve).parameters.items()}
