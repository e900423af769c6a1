"""AsyncHrmClient against a real socket: the same answers as HrmClient, and streams that end when they are left."""

import anyio
import openai
import pytest
from anyio.to_thread import run_sync
from hrm_client import AsyncAnswerStream, AsyncHrmClient, Delta, Done, HrmClient, Part, Sources

from tests.clients.stub import PATIENCE_S, STREAMED, Refusal, StubServer, not_in_the_documents, twenty_seven_days

pytestmark = pytest.mark.anyio

QUESTION = "How many days of leave are there?"


async def parts_of(stream: AsyncAnswerStream) -> list[Part]:
    async with stream as parts:
        return [part async for part in parts]


async def test_it_says_what_the_synchronous_client_says(server: StubServer) -> None:
    def ask() -> object:
        with HrmClient(server.url) as client:
            return client.ask(QUESTION)

    async with AsyncHrmClient(server.url) as client:
        answer = await client.ask(QUESTION)

    assert answer == await run_sync(ask)


async def test_asking_is_reading_a_stream_to_its_end(server: StubServer) -> None:
    async with AsyncHrmClient(server.url) as client:
        whole = await client.ask(QUESTION)
        first, *deltas, last = await parts_of(client.stream(QUESTION))

    assert first == Sources(whole.sources)
    assert deltas == [Delta("27 "), Delta("working "), Delta("days."), Delta(" [1]")]
    assert last == Done(whole)


async def test_what_is_meant_for_another_service_is_never_sent(
    server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "of-somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer of-somebody-else")

    async with AsyncHrmClient(server.url, "mine") as client:
        await client.ask(QUESTION)

    assert server.authorizations == ["Bearer mine"]
    assert not [sent for sent in server.headers if "of-somebody-else" in sent]


async def test_an_abstention_is_told(server: StubServer) -> None:
    server.reply = not_in_the_documents()

    async with AsyncHrmClient(server.url) as client:
        answer = await client.ask(QUESTION)

    assert answer.grounding is not None
    assert answer.grounding.status == "abstained"


async def test_questions_can_be_asked_at_the_same_time(server: StubServer) -> None:
    async with AsyncHrmClient(server.url) as client, anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(client.ask, f"Question {number}?")

    assert sorted(body["messages"][0]["content"] for body in server.bodies) == [f"Question {n}?" for n in range(5)]


async def test_leaving_without_reading_closes_the_connection(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.silent_after = 0
    server.reply = reply

    async with AsyncHrmClient(server.url) as client:
        async with client.stream(QUESTION):
            pass

        assert await run_sync(server.left.wait, PATIENCE_S / 2)


async def test_leaving_early_closes_the_connection(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.silent_after = 1
    server.reply = reply

    async with AsyncHrmClient(server.url) as client:
        async with client.stream(QUESTION) as parts:
            assert isinstance(await anext(parts), Sources)
            assert await anext(parts) == Delta("27 ")

        assert await run_sync(server.left.wait, PATIENCE_S / 2)


async def test_being_cancelled_closes_the_connection(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.silent_after = 1
    server.reply = reply

    async with AsyncHrmClient(server.url) as client:
        with anyio.move_on_after(0.5) as scope:
            await parts_of(client.stream(QUESTION))

        assert scope.cancelled_caught
        assert await run_sync(server.left.wait, PATIENCE_S / 2)


async def test_a_stream_that_is_closed_before_it_was_entered_asks_nothing(server: StubServer) -> None:
    async with AsyncHrmClient(server.url) as client:
        stream = client.stream(QUESTION)
        await stream.aclose()

        assert [part async for part in stream] == []

    assert server.bodies == []


async def test_an_error_frame_is_raised_where_the_text_stops(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.error_after = 2
    server.reply = reply

    async with AsyncHrmClient(server.url) as client:
        with pytest.raises(openai.APIError, match="The engine failed"):
            await parts_of(client.stream(QUESTION))


async def test_a_body_that_ends_before_the_answer_does_is_not_taken_for_an_answer(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.cut_after = 2
    server.reply = reply

    async with AsyncHrmClient(server.url) as client:
        with pytest.raises(openai.APIConnectionError, match="before the answer did"):
            await parts_of(client.stream(QUESTION))


async def test_refusals_are_the_official_exceptions(server: StubServer) -> None:
    server.reply = Refusal(404, "No vector store found with id 'vs_x'.", "vector_store_not_found")

    async with AsyncHrmClient(server.url) as client:
        with pytest.raises(openai.NotFoundError) as raised:
            await parts_of(client.stream(QUESTION, store="vs_x"))

    assert raised.value.code == "vector_store_not_found"


async def test_what_is_asked_for_is_on_the_wire(server: StubServer) -> None:
    async with AsyncHrmClient(server.url, "secret", model="other") as client:
        await client.ask(QUESTION, store="handbook", grounding="cite", max_passages=2, temperature=0.0)

    assert server.authorizations == ["Bearer secret"]
    assert server.bodies == [
        {
            "model": "other",
            "messages": [{"role": "user", "content": QUESTION}],
            "retrieval": {"vector_store_ids": ["handbook"], "grounding": "cite", "max_num_results": 2},
            "temperature": 0.0,
            **STREAMED,
        }
    ]
