"""/v1/files: files as they were handed in, and the stored text that citations lead to."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Annotated, Any, Literal

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retrieval.errors import DocumentNotFound
from retrieval.types import Staged
from server.errors import InvalidRequest
from server.gone import refuse_missing
from server.multipart import MAX_FIELD_BYTES, read_form
from server.routes.guard import AskRoute, CallerDep, IngestRoute, ServicesDep, StoreRoute
from server.routes.whole_file import WholeFile
from server.schemas.fields import Place
from server.schemas.files import Deleted, FileChange, FileList, FileListing, FileObject, UploadForm
from server.store_ports import Archive

UPLOADS = "/v1/files"
# Of a form, besides the file: its fields, and what lies between them.
FORM_BYTES = 2 * MAX_FIELD_BYTES

_PLACE: dict[str, Any] = {"prefix": "/v1", "tags": ["files"]}
_looking = APIRouter(route_class=StoreRoute, **_PLACE)
_asking = APIRouter(route_class=AskRoute, **_PLACE)
_changing = APIRouter(route_class=IngestRoute, **_PLACE)
routers = (_looking, _asking, _changing)

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/UploadForm"}}},
    }
}
_TEXT: dict[str, Any] = {
    "description": "The text, or the part that was asked for; or the file as it came.",
    "content": {"text/plain": {}, "application/octet-stream": {}},
}


class Part(BaseModel):
    """What of a file, and which part: in Unicode code points of its stored text, as citations count them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: Literal["text", "original"] | None = Field(
        None, description="text: as it was read; original: as it came. Without it: the text, once there is one."
    )
    start: Place | None = Field(None, description="Where it begins.")
    end: Place | None = Field(None, description="Where it ends, exclusive; without it, where the text ends.")


@_changing.post("/files", openapi_extra=_FORM)
async def upload_file(request: Request, caller: CallerDep, services: ServicesDep) -> FileObject:
    """Take a file in. It is read once it is put into a store."""
    archive, reader = services.archive(), caller.reader()
    async with _staging(archive) as staged:
        form = await read_form(request, "file", staged.write, services.policy.max_upload_bytes)
        try:
            said = UploadForm.model_validate(form.nested())
        except ValidationError as error:
            problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
            raise RequestValidationError(problems, body=form.nested()) from error
        if not staged.size:
            raise InvalidRequest("The file is empty.", param="file")
        assert form.filename is not None, "a form that was read has a file"
        file = await archive.add_file(
            staged,
            filename=form.filename,
            purpose=said.purpose,
            reader=reader,
            access=said.access.meaning() if said.access else caller.default_access(),
            expires_in_s=said.expires_after.seconds if said.expires_after else None,
        )
    return FileObject.of(file)


@asynccontextmanager
async def _staging(archive: Archive) -> AsyncIterator[Staged]:
    """`Archive.staging` in a worker thread; what was opened is closed whoever leaves meanwhile."""
    opened = ExitStack()
    try:
        with CancelScope(shield=True):
            staged = await run_sync(opened.enter_context, archive.staging())
        yield staged
    finally:
        with CancelScope(shield=True):
            await run_sync(opened.close)


@_looking.get("/files")
async def list_files(listing: Annotated[FileListing, Query()], caller: CallerDep, services: ServicesDep) -> FileList:
    """List the files that the caller may read."""
    page = await services.archive().files(caller.reader(), listing.cursor(), listing.purpose)
    return FileList.of([FileObject.of(file) for file in page.items], page.has_more)


@_looking.get("/files/{file_id}")
async def retrieve_file(file_id: str, caller: CallerDep, services: ServicesDep) -> FileObject:
    """Retrieve a file; one that the caller may not read does not exist."""
    return FileObject.of(await services.archive().file(file_id, caller.reader()))


@_changing.post("/files/{file_id}")
async def change_file(file_id: str, body: FileChange, caller: CallerDep, services: ServicesDep) -> FileObject:
    """Change who may use a file."""
    access = body.access.meaning() if body.access else None
    return FileObject.of(await services.archive().share_file(file_id, access, caller.reader()))


@_changing.delete("/files/{file_id}")
async def delete_file(file_id: str, caller: CallerDep, services: ServicesDep) -> Deleted:
    """Delete a file, and all that was read of it, from every store; searches no longer find it."""
    await services.library.delete(file_id, caller.reader())
    return Deleted(id=file_id, object="file")


@_asking.get("/files/{file_id}/content", response_class=PlainTextResponse, responses={200: _TEXT})
async def read_content(
    file_id: str, part: Annotated[Part, Query()], caller: CallerDep, services: ServicesDep
) -> Response:
    """Read a file's stored text, or the file as it came; one that the caller may not read does not exist.

    A file that was erased answers 410 to whoever could read it until then.
    """
    reader = caller.reader()
    is_part = part.start is not None or part.end is not None
    if part.form == "original" and is_part:
        raise InvalidRequest("'start' and 'end' count in the text, not in the original.", param="form")
    try:
        if part.form == "original":
            return WholeFile(await services.archive().original(file_id, reader))
        text = await services.library.text(file_id, reader)
    except DocumentNotFound as missing:
        await refuse_missing(missing, services, reader)
    if not text and (part.form == "text" or is_part):
        raise InvalidRequest("The file has no text yet: no store has read it.", param="file_id", code="file_not_read")
    if not text:
        return WholeFile(await services.archive().original(file_id, reader))
    end, start = len(text) if part.end is None else part.end, part.start or 0
    for name, place in (("end", end), ("start", start)):
        if place > len(text):
            raise InvalidRequest(f"'{name}' is {place}, and the text has {len(text)} characters.", param=name)
    if start > end:
        raise InvalidRequest(f"'start' is {start}, behind 'end', which is {end}.", param="start")
    return PlainTextResponse(text[start:end])
