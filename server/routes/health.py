"""Probes, open to everybody: they say whether the server lives and answers, and nothing else."""

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request

from server.deps import Services
from server.errors import NotReady
from server.routes.guard import ServicesDep
from server.schemas.objects import Ready, State

router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> State:
    """The process answers; restart it when this does not."""
    return State(status="ok")


@router.get("/readyz")
async def readyz(request: Request, services: ServicesDep) -> Ready:
    """Send requests here only while this is 200."""
    # A look at databases and a disk waits for them, and is anybody's to ask for: it takes one thread, and not the loop.
    return await run_sync(_looked, services, limiter=request.app.state.looking_turn)


def _looked(services: Services) -> Ready:
    reason = services.ready()
    if reason is not None:
        raise NotReady(reason)
    return Ready(status="ok", warnings=services.warnings())
