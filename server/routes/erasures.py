"""/v1/erasures: what was removed for good, with signed certificates; for admins, owners and whoever asked for it."""

import json
from functools import partial
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query

from server.deps import Services
from server.erasure_records import ErasureRecord
from server.errors import InvalidRequest, UnknownErasure
from server.gone import note_pending
from server.identity import Caller
from server.routes.guard import CallerDep, GuardedRoute, ServicesDep
from server.schemas.erasures import ErasureList, ErasureObject, ErasurePage

router = APIRouter(prefix="/v1", tags=["erasures"], route_class=GuardedRoute)


@router.get("/erasures")
async def list_erasures(page: Annotated[ErasurePage, Query()], caller: CallerDep, services: ServicesDep) -> ErasureList:
    """List the erasures that the caller may see, the newest first."""
    await note_pending(services)
    if page.after is not None and await _seen(page.after, caller, services) is None:
        raise InvalidRequest(f"No erasure found with id '{page.after}'.", param="after")
    behind = partial(
        services.erasures.page,
        _principals(caller),
        limit=page.limit + 1,
        after=page.after,
        newest_first=page.order == "desc",
    )
    with_next = await run_sync(behind)
    found = with_next[: page.limit]
    keys = await run_sync(services.erasures.public_keys)
    return ErasureList.of([_object(record, keys, caller) for record in found], len(with_next) > page.limit)


@router.get("/erasures/{erasure_id}")
async def retrieve_erasure(erasure_id: str, caller: CallerDep, services: ServicesDep) -> ErasureObject:
    """Retrieve one erasure; one that the caller may not see does not exist."""
    await note_pending(services)
    record = await _seen(erasure_id, caller, services)
    if record is None:
        raise UnknownErasure(erasure_id)
    return _object(record, await run_sync(services.erasures.public_keys), caller)


async def _seen(erasure_id: str, caller: Caller, services: Services) -> ErasureRecord | None:
    return await run_sync(services.erasures.one, erasure_id, _principals(caller))


def _principals(caller: Caller) -> list[str | None]:
    """Whose erasures a record must be among; None: everybody's."""
    caller.refuse_limited_to_stores()  # a record outlives its store, and cannot tell whether that was one of them
    return [None if "admin" in one.roles else one.principal for one in caller.parties()]


def _object(record: ErasureRecord, keys: dict[str, str], caller: Caller) -> ErasureObject:
    known, proof = record.stores_known_to(caller.reader()), record.proof
    is_admin = "admin" in caller.roles
    shown = None if proof is None or (not is_admin and proof.names_other_stores(known)) else proof
    return ErasureObject(
        id=record.erasure_id,
        object="erasure",
        status="pending" if proof is None else "certified",
        file_id=record.file_id,
        file_is_gone=record.is_whole,
        vector_store_ids=list(known),
        owner=record.owner,
        requested_by=record.requested_by,
        requested_at=record.requested_at,
        reason=record.reason,
        certificate=None if shown is None else json.loads(shown.certificate),
        signature=None if shown is None else shown.signature,
        public_key=None if shown is None else keys.get(shown.key_id),
        held=None if shown is None or not is_admin or shown.held is None else json.loads(shown.held),
        held_signature=None if shown is None or not is_admin else shown.held_signature,
    )
