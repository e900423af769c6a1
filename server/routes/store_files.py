"""/v1/vector_stores/{store}/files and /file_batches: which files a store holds, and how far their reading is."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from retrieval.types import DocumentStatus
from server.errors import named_at
from server.routes.guard import AskRoute, CallerDep, IngestRoute, ServicesDep, StoreRoute
from server.schemas.files import Deleted, Listing
from server.schemas.store_files import (
    AttachRequest,
    AttributesChange,
    BatchRequest,
    FileBatch,
    FileContentPage,
    TextContent,
    VectorStoreFile,
    VectorStoreFileList,
)

# Most files take less to read than the second that clients wait by default.
_POLL_AGAIN = {"openai-poll-after-ms": "300"}

_PLACE: dict[str, Any] = {"prefix": "/v1/vector_stores/{store}", "tags": ["vector stores"]}
_looking = APIRouter(route_class=StoreRoute, **_PLACE)
_asking = APIRouter(route_class=AskRoute, **_PLACE)
_changing = APIRouter(route_class=IngestRoute, **_PLACE)
routers = (_looking, _asking, _changing)


class FilesListing(Listing):
    """Which files of a store; newest first."""

    filter: DocumentStatus | None = Field(None, description="Only files with this status.")


@_changing.post("/files")
async def create_vector_store_file(
    store: str, body: AttachRequest, caller: CallerDep, services: ServicesDep
) -> VectorStoreFile:
    """Put a file into a store; it is read in the background."""
    return VectorStoreFile.of(await services.archive().attach(store, body.attachment(), caller.reader()))


@_looking.get("/files")
async def list_vector_store_files(
    store: str, listing: Annotated[FilesListing, Query()], caller: CallerDep, services: ServicesDep
) -> VectorStoreFileList:
    """List a store's files, those that the caller may read."""
    page = await services.archive().page_of_held(store, caller.reader(), listing.cursor(), status=listing.filter)
    return VectorStoreFileList.of([VectorStoreFile.of(document) for document in page.items], page.has_more)


@_looking.get("/files/{file_id}")
async def retrieve_vector_store_file(
    store: str, file_id: str, caller: CallerDep, services: ServicesDep, response: Response
) -> VectorStoreFile:
    """Retrieve a file of a store, with how far its reading is."""
    document = await services.archive().held(store, file_id, caller.reader())
    if document.status == "in_progress":
        response.headers.update(_POLL_AGAIN)
    return VectorStoreFile.of(document)


@_changing.post("/files/{file_id}")
async def update_vector_store_file(
    store: str, file_id: str, body: AttributesChange, caller: CallerDep, services: ServicesDep
) -> VectorStoreFile:
    """Replace what filters compare."""
    document = await services.archive().describe_held(store, file_id, body.attributes or {}, caller.reader())
    return VectorStoreFile.of(document)


@_changing.delete("/files/{file_id}")
async def delete_vector_store_file(store: str, file_id: str, caller: CallerDep, services: ServicesDep) -> Deleted:
    """Take a file out of a store; searches of the store no longer find it."""
    await services.archive().detach(store, file_id, caller.reader())
    return Deleted(id=file_id, object="vector_store.file.deleted")


@_asking.get("/files/{file_id}/content")
async def read_vector_store_file(store: str, file_id: str, caller: CallerDep, services: ServicesDep) -> FileContentPage:
    """Read what was read of a file."""
    archive, reader = services.archive(), caller.reader()
    document = await archive.held(store, file_id, reader)
    text = await archive.text_of_held(store, file_id, reader)
    return FileContentPage(
        file_id=file_id,
        filename=document.filename,
        attributes=dict(document.attributes),
        data=[TextContent(text=text)] if text else [],
    )


@_changing.post("/file_batches")
async def create_file_batch(store: str, body: BatchRequest, caller: CallerDep, services: ServicesDep) -> FileBatch:
    """Put files into a store together: all of them, or none if one does not exist."""
    with named_at(body.places()):
        return FileBatch.of(await services.archive().start_batch(store, body.attachments(), caller.reader()))


@_looking.get("/file_batches/{batch_id}")
async def retrieve_file_batch(
    store: str, batch_id: str, caller: CallerDep, services: ServicesDep, response: Response
) -> FileBatch:
    """Retrieve a batch, with how far the reading of its files is."""
    batch = await services.archive().batch(store, batch_id, caller.reader())
    if batch.status == "in_progress":
        response.headers.update(_POLL_AGAIN)
    return FileBatch.of(batch)


@_changing.post("/file_batches/{batch_id}/cancel")
async def cancel_file_batch(store: str, batch_id: str, caller: CallerDep, services: ServicesDep) -> FileBatch:
    """Give up reading what was not read yet."""
    return FileBatch.of(await services.archive().cancel_batch(store, batch_id, caller.reader()))


@_looking.get("/file_batches/{batch_id}/files")
async def list_file_batch_files(
    store: str,
    batch_id: str,
    listing: Annotated[FilesListing, Query()],
    caller: CallerDep,
    services: ServicesDep,
) -> VectorStoreFileList:
    """List a batch's files, those that the caller may read."""
    page = await services.archive().page_of_held(
        store, caller.reader(), listing.cursor(), status=listing.filter, batch=batch_id
    )
    return VectorStoreFileList.of([VectorStoreFile.of(document) for document in page.items], page.has_more)
