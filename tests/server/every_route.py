"""Each route of the application, however its routers are nested."""

import re
from collections.abc import Iterator, Sequence

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from server.app import bare_app


def routes(found: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    """All of them, through routers that FastAPI keeps as they were included."""
    for route in found:
        if isinstance(included := getattr(route, "original_router", None), APIRouter):
            yield from routes(included.routes)
        else:
            assert isinstance(route, APIRoute), f"{route} is of a kind that this test does not know"
            yield route


def calls() -> Iterator[tuple[str, str, str]]:
    """Each route and method: its name, the method, and a path that leads there."""
    for route in routes(bare_app().routes):
        for method in sorted(route.methods or ()):
            yield f"{method} {route.path}", method, re.sub(r"{[^}]*}", "x", route.path)
