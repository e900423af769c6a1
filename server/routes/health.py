"""Probes, open to everybody: they say whether the server lives and answers, and nothing else."""

from fastapi import APIRouter

from server.errors import NotReady
from server.routes.guard import ServicesDep
from server.schemas.objects import Ready, State

router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> State:
    """The process answers; restart it when this does not."""
    return State(status="ok")


@router.get("/readyz")
async def readyz(services: ServicesDep) -> Ready:
    """Send requests here only while this is 200."""
    reason = services.ready()
    if reason is not None:
        raise NotReady(reason)
    return Ready(status="ok", warnings=services.warnings())
