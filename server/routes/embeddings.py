"""POST /v1/embeddings: the store's own embedding model."""

import asyncio
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from anyio import CancelScope, CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from numpy.typing import NDArray

from server.errors import InvalidRequest, UnknownModel
from server.ports import Embedder
from server.routes.guard import AskRoute, CallerDep, EmbeddingTurnDep, MeterDep, RecordDep, ServicesDep
from server.schemas.embeddings import MAX_TOKENS, Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage
from server.streaming import while_connected
from server.traced import genai
from server.tracing import spanned

router = APIRouter(prefix="/v1", tags=["embeddings"], route_class=AskRoute)


@router.post("/embeddings")
async def create_embeddings(
    body: EmbeddingRequest,
    request: Request,
    caller: CallerDep,
    meter: MeterDep,
    services: ServicesDep,
    turn: EmbeddingTurnDep,
    record: RecordDep,
) -> EmbeddingList:
    """Embed texts as the stores do; vectors have length 1."""
    embedder = services.embedder()
    if body.model != embedder.name or not caller.may_ask(body.model):
        raise UnknownModel(body.model)
    if body.dimensions not in (None, embedder.dims):
        raise InvalidRequest(
            f"'dimensions' is {embedder.dims} for this model; no other is supported.",
            param="dimensions",
            code="unsupported_parameter",
        )
    texts = body.texts()
    ids = await run_sync(_tokens, embedder, texts)
    count = sum(map(len, ids))
    if count > MAX_TOKENS:
        raise InvalidRequest(f"The input has {count} tokens; at most {MAX_TOKENS} are read at a time.", param="input")
    meter.spend(count)
    record.spent = meter.spent
    # One at a time: a batch keeps the cores busy by itself, and searches embed their questions beside it.
    size = {"gen_ai.usage.input_tokens": count, "gen_ai.embeddings.dimension.count": embedder.dims}
    with spanned(f"embeddings {embedder.name}", genai("embeddings", embedder.name) | size):
        vectors = await while_connected(request, _embedded(embedder, ids, turn))
    return EmbeddingList(
        model=embedder.name,
        data=[
            Embedding(index=index, embedding=_as(body.encoding_format, vector)) for index, vector in enumerate(vectors)
        ],
        usage=EmbeddingUsage(prompt_tokens=count, total_tokens=count),
    )


def _tokens(embedder: Embedder, texts: list[str] | list[list[int]]) -> Sequence[Sequence[int]]:
    if isinstance(texts[0], str):
        return embedder.encode([text for text in texts if isinstance(text, str)])
    ids = [text for text in texts if isinstance(text, list)]
    largest = max(max(text) for text in ids)
    if largest >= embedder.vocabulary:
        raise InvalidRequest(
            f"Token {largest} is not one of the {embedder.vocabulary} of {embedder.name}.", param="input"
        )
    return ids


async def _embedded(embedder: Embedder, ids: Sequence[Sequence[int]], turn: CapacityLimiter) -> NDArray[np.float32]:
    """Embed in a thread, once it is its turn; nothing is computed for whoever is cancelled before that."""
    async with turn:
        computing = asyncio.ensure_future(run_sync(embedder.embed_ids, ids))
        try:
            return await asyncio.shield(computing)
        finally:  # a thread cannot be stopped, and the next batch is not to begin beside it
            with CancelScope(shield=True):
                await asyncio.wait({computing})


def _as(form: str, vector: NDArray[np.float32]) -> list[float] | str:
    if form == "base64":
        return b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(number) for number in vector]
