"""GET /v1/files/{file_id}/content: the stored text that citations lead to."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from server.errors import InvalidRequest
from server.routes.guard import AskRoute, CallerDep, ServicesDep

router = APIRouter(prefix="/v1", tags=["files"], route_class=AskRoute)

_TEXT: dict[str, Any] = {"description": "The text, or the part that was asked for.", "content": {"text/plain": {}}}


class Span(BaseModel):
    """A part of a text, in Unicode code points, as citations count them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: int = Field(0, ge=0, description="Where it begins.")
    end: int | None = Field(None, ge=0, description="Where it ends, exclusive; without it, where the text ends.")


@router.get("/files/{file_id}/content", response_class=PlainTextResponse, responses={200: _TEXT})
async def read_content(
    file_id: str, span: Annotated[Span, Query()], caller: CallerDep, services: ServicesDep
) -> PlainTextResponse:
    """Read the stored text of a file; one that the caller may not read does not exist."""
    text = await services.library.text(file_id, caller.reader())
    end = len(text) if span.end is None else span.end
    for name, place in (("end", end), ("start", span.start)):
        if place > len(text):
            raise InvalidRequest(f"'{name}' is {place}, and the text has {len(text)} characters.", param=name)
    if span.start > end:
        raise InvalidRequest(f"'start' is {span.start}, behind 'end', which is {end}.", param="start")
    # A document may look like a web page, and nobody's browser is to run it as one.
    return PlainTextResponse(text[span.start : end], headers={"X-Content-Type-Options": "nosniff"})
