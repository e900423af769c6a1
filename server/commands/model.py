"""`hrm-serve check-model` and `train`: the model's own commands, handed on."""

from pathlib import Path
from typing import Annotated, Literal

import typer

_AS_OF_SERVE = "As of `serve`."


def check_model(
    folder: Annotated[Path, typer.Argument(help="A checkpoint's folder.", metavar="DIR")],
    decode: Annotated[bool, typer.Option("--decode/--no-decode", help="Load it and write a few tokens too.")] = True,
    dtype: Annotated[Literal["auto", "float32", "bfloat16", "float16"], typer.Option(help=_AS_OF_SERVE)] = "auto",
    device: Annotated[str, typer.Option(help=_AS_OF_SERVE)] = "auto",
    weights: Annotated[Literal["auto", "int8", "int4"], typer.Option(help=_AS_OF_SERVE)] = "auto",
    kv_dtype: Annotated[Literal["auto", "int8"], typer.Option(help=_AS_OF_SERVE)] = "auto",
) -> None:
    """Say whether a checkpoint can be served, what it needs, and about how fast it is."""
    from server.building.model import check_model as check

    for line in check(folder, decode=decode, dtype=dtype, device=device, weights=weights, kv_dtype=kv_dtype):
        print(line, flush=True)


def train(context: typer.Context) -> None:
    """Train an HRM-Text from scratch on instruction-response pairs (`hrm-serve train --help` lists all)."""
    from server.building.model import train as run

    raise typer.Exit(run(context.args))
