"""Ask and stream, over the official synchronous client."""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from openai import APIConnectionError, AsyncOpenAI, OpenAI, Stream
from openai.types.chat import ChatCompletionChunk

from hrm_client.answers import Answer, Done, Part
from hrm_client.reading import Reading
from hrm_client.request import Asked, completion, served_model

DEFAULT_URL = "http://127.0.0.1:8000/v1"
KEY_VARIABLE = "HRM_API_KEY"
BROKEN_OFF = "The stream ended before the answer did."
# A slow machine may read a long prompt for minutes, and heartbeats keep a stream alive meanwhile.
DEFAULT_TIMEOUT_S = 120.0


def key_or_placeholder(api_key: str | None) -> str:
    """The key to send: the one given, else the environment's, else a word that a server without keys ignores.

    Never the official client's own default: an OPENAI_API_KEY is nobody else's business.

    Raises:
        ValueError: no header can carry the key; said here without the key, which an error further down would show.
    """
    key = api_key or os.environ.get(KEY_VARIABLE) or "none"
    if "\n" in key or "\r" in key:
        raise ValueError("the API key contains a line break")
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the API key contains characters that a header cannot carry")
    if key != key.strip():
        raise ValueError("the API key begins or ends with a space")
    return key


def keep_to(client: OpenAI | AsyncOpenAI, given: Mapping[str, Any]) -> None:
    """Take out of an official client what it has read from variables that are meant for another service.

    Those name an organisation, a project and headers to send, some of which are credentials.
    """
    for name in ("organization", "project", "admin_api_key", "webhook_secret"):
        setattr(client, name, given.get(name))
    client._custom_headers = given.get("default_headers") or {}


class OwnOpenAI(OpenAI):
    """The official client, and each copy of it that `with_options` makes, with what it is given alone."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        keep_to(self, given)


class AnswerStream(Iterator[Part]):
    """`Sources`, any number of `Delta`, then `Done`. The request is made on entering, or at the first part.

    Closing it (or leaving its `with` block) closes the connection, and with it the server's work.
    """

    def __init__(self, request: Callable[[], Stream[ChatCompletionChunk]], base_url: str) -> None:
        self._request = request
        self._reading = Reading(base_url)
        self._stream: Stream[ChatCompletionChunk] | None = None
        self._parts = self._read()

    def __next__(self) -> Part:
        return next(self._parts)

    def __enter__(self) -> Self:
        self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; no part follows."""
        self._parts.close()
        if self._stream is not None:
            self._stream.close()

    def _opened(self) -> Stream[ChatCompletionChunk]:
        if self._stream is None:
            self._stream = self._request()
        return self._stream

    def _read(self) -> Generator[Part, None, None]:
        with self._opened() as stream:
            for chunk in stream:
                yield from self._reading.chunk(chunk)
        if not self._reading.is_finished:
            raise APIConnectionError(message=BROKEN_OFF, request=stream.response.request)
        yield self._reading.done()


class HrmClient:
    """An hrm-serve server, as something to ask.

    Args:
        base_url: where its API is, `/v1` included.
        api_key: a key of that server; without it, the variable HRM_API_KEY; a server without keys needs none.
        model: whom to ask; without it, the first model that the server lists, looked up once.
        timeout: seconds to wait for the server to say anything.
        max_retries: attempts after a failure that may pass (no connection, a full server), with pauses between; an
            answer that has begun is not asked for again.

    Raises:
        ValueError: the key contains what no header can carry.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        model: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        max_retries: int = 2,
    ) -> None:
        self.openai = OwnOpenAI(
            base_url=base_url,
            api_key=key_or_placeholder(api_key),
            timeout=timeout,
            max_retries=max_retries,
            # Something that is no such server (a web page, say) is then named as that, and not read as an answer.
            _strict_response_validation=True,
        )
        self._model = model

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open for the next question."""
        self.openai.close()

    def ask(self, question: str, **asked: Unpack[Asked]) -> Answer:
        """Ask, and wait for the whole answer.

        It is streamed meanwhile: however long it takes, the server is heard, and going away ends its work.

        Raises:
            openai.APIError: as the official client raises it; with a status where the server refuses, and without one
                where it fails in the middle of the answer.
            LookupError: no model was named, and the server lists none.
            ValueError: the question is not text.
        """
        with self.stream(question, **asked) as parts:
            *_, last = parts
        assert isinstance(last, Done), "a stream that ends well ends in Done"
        return last.answer

    def stream(self, question: str, **asked: Unpack[Asked]) -> AnswerStream:
        """Ask, and get the answer while it is written; takes and raises what `ask` does, once it is entered.

        A failure in the middle is raised by the part that it comes instead of.
        """

        def request() -> Stream[ChatCompletionChunk]:
            arguments: dict[str, Any] = completion(self._asked_model(), question, asked)
            opened: Stream[ChatCompletionChunk] = self.openai.chat.completions.create(
                **arguments, stream=True, stream_options={"include_usage": True}
            )
            return opened

        return AnswerStream(request, str(self.openai.base_url))

    def _asked_model(self) -> str:
        if self._model is None:
            self._model = served_model(self.openai.models.list())
        return self._model
