"""Ask and stream, over the official asynchronous client: `hrm_client.client` with `await`."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self, Unpack

from openai import APIConnectionError, AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from hrm_client.answers import Answer, Done, Part
from hrm_client.client import BROKEN_OFF, DEFAULT_TIMEOUT_S, DEFAULT_URL, keep_to, key_or_placeholder
from hrm_client.reading import Reading
from hrm_client.request import Asked, completion, served_model


class AsyncAnswerStream(AsyncIterator[Part]):
    """`Sources`, any number of `Delta`, then `Done`. The request is made on entering, or at the first part.

    Closing it (or leaving its `async with` block) closes the connection, and with it the server's work.
    """

    def __init__(self, request: Callable[[], Awaitable[AsyncStream[ChatCompletionChunk]]], base_url: str) -> None:
        self._request = request
        self._reading = Reading(base_url)
        self._stream: AsyncStream[ChatCompletionChunk] | None = None
        self._parts = self._read()

    async def __anext__(self) -> Part:
        return await anext(self._parts)

    async def __aenter__(self) -> Self:
        await self._opened()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection; no part follows."""
        await self._parts.aclose()
        if self._stream is not None:
            await self._stream.close()

    async def _opened(self) -> AsyncStream[ChatCompletionChunk]:
        if self._stream is None:
            self._stream = await self._request()
        return self._stream

    async def _read(self) -> AsyncGenerator[Part, None]:
        async with await self._opened() as stream:
            async for chunk in stream:
                for part in self._reading.chunk(chunk):
                    yield part
        if not self._reading.is_finished:
            raise APIConnectionError(message=BROKEN_OFF, request=stream.response.request)
        yield self._reading.done()


class OwnAsyncOpenAI(AsyncOpenAI):
    """The official client, and each copy of it that `with_options` makes, with what it is given alone."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        keep_to(self, given)


class AsyncHrmClient:
    """An hrm-serve server, as something to ask without blocking; takes what `HrmClient` takes."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        model: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        max_retries: int = 2,
    ) -> None:
        self.openai = OwnAsyncOpenAI(
            base_url=base_url,
            api_key=key_or_placeholder(api_key),
            timeout=timeout,
            max_retries=max_retries,
            _strict_response_validation=True,
        )
        self._model = model

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections that are kept open for the next question."""
        await self.openai.close()

    async def ask(self, question: str, **asked: Unpack[Asked]) -> Answer:
        """Ask, and wait for the whole answer; see `HrmClient.ask`."""
        async with self.stream(question, **asked) as parts:
            *_, last = [part async for part in parts]
        assert isinstance(last, Done), "a stream that ends well ends in Done"
        return last.answer

    def stream(self, question: str, **asked: Unpack[Asked]) -> AsyncAnswerStream:
        """Ask, and get the answer while it is written; see `HrmClient.stream`."""

        async def request() -> AsyncStream[ChatCompletionChunk]:
            arguments: dict[str, Any] = completion(await self._asked_model(), question, asked)
            opened: AsyncStream[ChatCompletionChunk] = await self.openai.chat.completions.create(
                **arguments, stream=True, stream_options={"include_usage": True}
            )
            return opened

        return AsyncAnswerStream(request, str(self.openai.base_url))

    async def _asked_model(self) -> str:
        if self._model is None:
            self._model = served_model((await self.openai.models.list()).data)
        return self._model
