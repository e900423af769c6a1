"""GET /openapi.json: the API's description, for callers; to a stranger it says as little as every other route."""

from typing import Any

from fastapi import APIRouter, Request

from server.routes.guard import GuardedRoute

router = APIRouter(route_class=GuardedRoute)


@router.get("/openapi.json", include_in_schema=False)
async def read_description(request: Request) -> dict[str, Any]:
    """Everything that openapi.yaml says."""
    description: dict[str, Any] = request.app.openapi()
    return description
