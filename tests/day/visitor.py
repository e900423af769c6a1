"""One request after another, each noted down with what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Any

import httpx

from tests.day.notebook import Notebook, Told
from tests.day.people import Office, Person
from tests.day.wire import Heard, frames

# A server that is going: not that it cannot, but that it will not any more.
_GOING = {"not_ready", "engine_unavailable"}


@dataclass
class Life:
    """One run of the server's process."""

    number: int
    url: str
    is_ending: bool = False  # a signal is about to be sent, or was
    acts: int = 0


class Visitor:
    """Sends requests for people, and notes what they are told."""

    def __init__(
        self, client: httpx.AsyncClient, office: Office, notebook: Notebook, life: Life, random: Random
    ) -> None:
        self._client = client
        self.office, self.notebook, self.life, self.random = office, notebook, life, random

    def with_luck(self, random: Random) -> "Visitor":
        """Another one at the same door."""
        return Visitor(self._client, self.office, self.notebook, self.life, random)

    async def send(
        self,
        person: Person,
        method: str,
        path: str,
        *,
        what: str = "",
        expected: tuple[int, ...] = (200,),
        headers: Mapping[str, str] | None = None,
        echo: str = "",
        is_recorded: bool | None = None,
        **body: Any,
    ) -> httpx.Response | None:
        """Send a request; None where the server was gone before it had answered.

        Args:
            headers: who asks, where that is not simply the person.
            echo: what is said back because it was said, and tells nothing.
            is_recorded: whether it leaves a record; None: as such a request usually does.
        """
        request, began, what = self.notebook.next_request(), monotonic(), what or f"{method} {path}"
        given = {**(headers or self.office.headers(person)), "x-request-id": request}
        try:
            answer = await self._client.request(method, path, headers=given, **body)
        except httpx.TransportError as error:
            self._lost(request, what, error)
            self.notebook.told.append(Told(request, person, what, self.life.number, None, is_recorded=None))
            return None
        self.notebook.check_told(person, began, request, what, answer.text.replace(echo, "") if echo else answer.text)
        if answer.status_code not in expected and not self._is_excused(answer, given):
            self.notebook.problem(request, what, f"{answer.status_code} instead of {expected}: {answer.text[:300]}")
        acts = method != "GET" or path.partition("?")[0].endswith("/content")
        if answer.status_code == 503:
            is_recorded = None
        elif is_recorded is None:
            is_recorded = answer.status_code != 401 and acts
        told = Told(request, person, what, self.life.number, answer.status_code, is_recorded=is_recorded)
        self.notebook.told.append(told)
        return answer

    async def ask(
        self,
        person: Person,
        body: Mapping[str, Any],
        path: str = "/v1/chat/completions",
        leave_after: int | None = None,
    ) -> None:
        """Ask for an answer.

        Args:
            leave_after: frames after which the client has heard enough; None: it hears all.
        """
        request, began = self.notebook.next_request(), monotonic()
        what, heard, status = f"{path} {body['model']}", Heard(), None
        given = {**self.office.headers(person), "x-request-id": request}
        was_left = False
        try:
            async with self._client.stream("POST", path, json=body, headers=given) as answer:
                status = answer.status_code
                if status != 200:
                    heard.raw = (await answer.aread()).decode()
                    if not self._is_excused(answer, given):
                        self.notebook.problem(request, what, f"{status}: {heard.raw[:300]}")
                elif body.get("stream"):
                    async for frame in frames(answer.aiter_lines()):
                        heard.hear_frame(frame)
                        if leave_after is not None and heard.raw.count("\n") >= leave_after and not heard.is_whole:
                            was_left = True
                            break
                else:
                    heard.raw = (await answer.aread()).decode()
                    heard.hear_whole(answer.json())
        except httpx.TransportError as error:
            self._lost(request, what, error)
        if heard.error is not None and not (self.life.is_ending and heard.error in _GOING):
            self.notebook.problem(request, what, f"an error frame: {heard.error}")
        self.notebook.check_told(person, began, request, what, heard.raw)
        self.notebook.check_files(person, began, request, what, iter(heard.files))
        self.notebook.told.append(
            Told(
                request,
                person,
                "answer",
                self.life.number,
                status,
                is_begun=status == 200 and heard.raw != "",
                is_whole=heard.is_whole,
                was_left=was_left,
                is_recorded=status == 200 or (None if status in (None, 503) else status != 401),
                choices=heard.choices,
                tokens=heard.tokens,
                cited=tuple(dict.fromkeys(heard.files)),
            )
        )

    def _is_excused(self, answer: httpx.Response, headers: Mapping[str, str]) -> bool:
        if answer.status_code == 401:
            return self.office.may_be_ended(headers)
        return answer.status_code == 503 and self.life.is_ending and answer.json()["error"]["code"] in _GOING

    def _lost(self, request: str, what: str, error: Exception) -> None:
        if not self.life.is_ending:
            self.notebook.problem(request, what, f"the connection broke: {error!r}")
