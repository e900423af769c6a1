"""/v1/vector_stores: collections of files, described, shared and searched."""

from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter, Query

from retrieval.errors import RetrievalError
from retrieval.types import Hits, Passage, Reader
from server.deps import Services
from server.errors import named_at
from server.metrics import Metrics
from server.query import rewrite_query
from server.routes.guard import ActDep, AskRoute, CallerDep, IngestRoute, MetricsDep, ServicesDep, StoreRoute
from server.schemas.files import Deleted, Listing
from server.schemas.store_search import SearchHit, SearchRequest, SearchResults
from server.schemas.tools import lowest_score
from server.schemas.vector_stores import StoreChange, StoreRequest, VectorStore, VectorStoreList

_PLACE: dict[str, Any] = {"prefix": "/v1", "tags": ["vector stores"]}
_looking = APIRouter(route_class=StoreRoute, **_PLACE)
_asking = APIRouter(route_class=AskRoute, **_PLACE)
_changing = APIRouter(route_class=IngestRoute, **_PLACE)
routers = (_looking, _asking, _changing)


@_changing.post("/vector_stores")
async def create_vector_store(body: StoreRequest, caller: CallerDep, services: ServicesDep) -> VectorStore:
    """Make a store, owned by the caller."""
    caller.refuse_limited_to_stores()
    access = body.access.meaning() if body.access else caller.default_access()
    with named_at(body.places()):
        store = await services.archive().make_store(body.described(), caller.reader(), access, body.attachments())
    return VectorStore.of(store)


@_looking.get("/vector_stores")
async def list_vector_stores(
    listing: Annotated[Listing, Query()], caller: CallerDep, services: ServicesDep
) -> VectorStoreList:
    """List the stores that the caller may read."""
    page = await services.archive().page_of_stores(caller.reader(), listing.cursor())
    return VectorStoreList.of([VectorStore.of(store) for store in page.items], page.has_more)


@_looking.get("/vector_stores/{store}")
async def retrieve_vector_store(store: str, caller: CallerDep, services: ServicesDep) -> VectorStore:
    """Retrieve a store; one that the caller may not read does not exist."""
    return VectorStore.of(await services.library.store(store, caller.reader()))


@_changing.post("/vector_stores/{store}")
async def modify_vector_store(store: str, body: StoreChange, caller: CallerDep, services: ServicesDep) -> VectorStore:
    """Describe a store anew, or share it anew."""
    access = body.access.meaning() if body.access else None
    return VectorStore.of(await services.archive().change_store(store, body.applied, caller.reader(), access))


@_changing.delete("/vector_stores/{store}")
async def delete_vector_store(store: str, caller: CallerDep, services: ServicesDep) -> Deleted:
    """Delete a store. Files that were uploaded stay; those taken in on the command line go with their last store."""
    store_id = await services.archive().remove_store(store, caller.reader())
    return Deleted(id=store_id, object="vector_store.deleted")


@_asking.post("/vector_stores/{store}/search")
async def search_vector_store(
    store: str, body: SearchRequest, caller: CallerDep, services: ServicesDep, metrics: MetricsDep, act: ActDep
) -> SearchResults:
    """Find passages that the caller may read, best first."""
    queries = body.queries()
    if body.rewrite_query:
        queries = [rewrite_query(query, queries[:at]) for at, query in enumerate(queries)]
    found = [await _searched(services, metrics, store, query, body, caller.reader()) for query in queries]
    best = _best(found, body.max_num_results)
    act.searched([store], queries, best, found, body.weights())
    return SearchResults(search_query=queries, data=[SearchHit.of(passage) for passage in best])


async def _searched(
    services: Services, metrics: Metrics, store: str, query: str, body: SearchRequest, reader: Reader
) -> Hits:
    began = perf_counter()
    try:
        hits = await services.retriever.search(
            query,
            stores=[store],
            k=body.max_num_results,
            reader=reader,
            filters=body.filters.meaning() if body.filters else None,
            score_threshold=lowest_score(body.ranking_options, services.policy.score_threshold),
            weights=body.weights(),
        )
    except RetrievalError:
        metrics.search_failed()
        raise
    metrics.searched(perf_counter() - began, hits)
    return hits


def _best(found: list[Hits], k: int) -> list[Passage]:
    """The best `k` of several searches, each passage once, where it scores best."""
    best: dict[str, Passage] = {}
    for hits in found:
        for passage in hits.passages:
            if passage.chunk_id not in best or passage.score > best[passage.chunk_id].score:
                best[passage.chunk_id] = passage
    return sorted(best.values(), key=lambda passage: -passage.score)[:k]
