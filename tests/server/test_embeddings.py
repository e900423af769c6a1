"""POST /v1/embeddings, with the bundled embedding model, as the official client sees it."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from threading import Event, Lock
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from retrieval.embedder import DIMS, NAME, MiniLM
from server.schemas.embeddings import EmbeddingList
from server.schemas.objects import ErrorBody
from tests.fakes.meaning import WordsApart
from tests.fakes.serving import client_of, listening, services
from tests.waiting import until

pytestmark = pytest.mark.anyio

TEXTS = ["Full-time staff receive 28 days of paid leave.", "Käse 🧀", "leave " * 400]


@pytest.fixture
async def client(embedder: MiniLM) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(services(embedder=embedder)) as client:
        yield client


async def ask(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/embeddings", json={"model": NAME, **body})
    assert response.status_code == 200, response.text
    EmbeddingList.model_validate(response.json())
    answer: dict[str, Any] = response.json()
    return answer


async def test_the_client_gets_the_vectors_that_the_stores_are_searched_by(embedder: MiniLM) -> None:
    async with (
        listening(services(embedder=embedder)) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-ann", max_retries=0) as client,
    ):
        answer = await client.embeddings.create(model=NAME, input=TEXTS)
        one = await client.embeddings.create(model=NAME, input=TEXTS[0], encoding_format="float", dimensions=DIMS)

    vectors = np.array([item.embedding for item in answer.data])
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert np.allclose(vectors, embedder.embed(TEXTS), atol=1e-6)
    assert np.allclose(one.data[0].embedding, vectors[0], atol=1e-6)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(embedder.count(TEXTS))
    assert answer.model == NAME


async def test_base64_holds_the_same_numbers_as_float(client: httpx.AsyncClient) -> None:
    packed = await ask(client, input=TEXTS[0], encoding_format="base64")
    plain = await ask(client, input=TEXTS[0], encoding_format="float")

    numbers = np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), "<f4")
    assert np.allclose(numbers, plain["data"][0]["embedding"], atol=1e-6)
    assert np.isclose(np.linalg.norm(numbers), 1)


async def test_tokens_are_the_embedders_own(client: httpx.AsyncClient, embedder: MiniLM) -> None:
    ids = embedder.encode(TEXTS[:2])

    texts = await ask(client, input=TEXTS[:2])
    tokens = await ask(client, input=ids)
    single = await ask(client, input=ids[0])

    assert tokens == texts
    assert np.allclose(single["data"][0]["embedding"], texts["data"][0]["embedding"], atol=1e-6)
    assert single["usage"]["prompt_tokens"] == len(ids[0])


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "text-embedding-3-small", "input": "x"}, 404, "model_not_found", "model"),
        ({"input": "x", "dimensions": 256}, 400, "unsupported_parameter", "dimensions"),
        ({"input": "x", "encoding_format": "int8"}, 400, "invalid_value", "encoding_format"),
        ({"input": ""}, 400, "invalid_value", "input"),
        ({"input": []}, 400, "invalid_value", "input"),
        ({"input": ["a", ""]}, 400, "invalid_value", "input[1]"),
        ({"input": [[]]}, 400, "invalid_value", "input[0]"),
        ({"input": ["a", 1]}, 400, "invalid_value", "input[1]"),
        ({"input": [1, "a"]}, 400, "invalid_value", "input[1]"),
        ({"input": [[1], 2]}, 400, "invalid_value", "input[1]"),
        ({"input": [30522]}, 400, "invalid_value", "input"),
        ({"input": [-1]}, 400, "invalid_value", "input[0]"),
        ({"input": {"text": "x"}}, 400, "invalid_value", "input"),
        ({"input": ["x"] * 2049}, 400, "invalid_value", "input"),
        ({"input": [[5] * 200_000, [5] * 100_001]}, 400, "invalid_value", "input"),
        ({}, 400, "missing_required_parameter", "input"),
        ({"input": "x", "truncate": True}, 400, "unknown_parameter", "truncate"),
    ],
)
async def test_what_cannot_be_embedded_is_named(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    response = await client.post("/v1/embeddings", json={"model": NAME, **body})

    ErrorBody.model_validate(response.json())
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)


class Held(WordsApart):
    """An embedder that takes until it is let go, and knows what it was asked and how much of it at the same time."""

    def __init__(self) -> None:
        self.go = Event()
        self.asked: list[Sequence[Sequence[int]]] = []
        self.most = 0
        self._lock = Lock()
        self._running = 0

    def embed_ids(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        with self._lock:
            self.asked.append(texts)
            self._running += 1
            self.most = max(self.most, self._running)
        assert self.go.wait(10), "nobody let it go"
        with self._lock:
            self._running -= 1
        return super().embed_ids(texts)


async def test_who_leaves_before_their_turn_is_not_computed_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "server.logs")
    held = Held()
    async with listening(services(embedder=held)) as url, asking(url) as post:
        first = asyncio.create_task(post("first"))
        await until(lambda: bool(held.asked))
        with pytest.raises(httpx.ReadTimeout):
            await post("second", patience_s=0.5)
        await until(lambda: "status=499" in caplog.text)
        held.go.set()

        answers = [await first, await post("third")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert held.asked == [held.encode(["first"]), held.encode(["third"])]


async def test_a_batch_whose_client_has_left_is_not_joined_by_the_next_one() -> None:
    held = Held()
    async with listening(services(embedder=held)) as url, asking(url) as post:
        with pytest.raises(httpx.ReadTimeout):
            await post("first", patience_s=0.5)
        second = asyncio.create_task(post("second"))
        await asyncio.sleep(0.5)
        begun = len(held.asked)
        held.go.set()

        answer = await second

    assert (begun, held.most) == (1, 1)
    assert answer.status_code == 200


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Callable[..., Coroutine[Any, Any, httpx.Response]]]:
    """Ask for the vector of a text."""
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": "Bearer sk-ann"}) as web:

        async def post(text: str, patience_s: float = 10) -> httpx.Response:
            body, timeout = {"model": WordsApart.name, "input": text}, httpx.Timeout(10, read=patience_s)
            return await web.post("/v1/embeddings", json=body, timeout=timeout)

        yield post
