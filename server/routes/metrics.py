"""GET /metrics, for Prometheus."""

from anyio.to_thread import run_sync
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from server.metrics import CONTENT_TYPE
from server.routes.guard import MetricsDep, MetricsRoute

router = APIRouter(tags=["metrics"], route_class=MetricsRoute)


@router.get("/metrics", response_class=PlainTextResponse)
async def read_metrics(metrics: MetricsDep) -> PlainTextResponse:
    """Everything that is measured, in Prometheus' text format."""
    return PlainTextResponse(await run_sync(metrics.text), media_type=CONTENT_TYPE)
