"""Answers as they come over the line, whole or streamed, read into one form."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Heard:
    """What a client has of an answer."""

    texts: dict[int, str] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)
    tokens: tuple[int, int] | None = None
    files: list[str] = field(default_factory=list)
    is_whole: bool = False
    error: str | None = None  # the code of an error frame
    raw: str = ""

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        return tuple((self.texts[index], self.ends.get(index, "")) for index in sorted(self.texts))

    def hear_whole(self, body: Mapping[str, Any]) -> None:
        """Take in an answer that is not streamed."""
        for choice in body["choices"]:
            said = choice.get("message", choice)
            self._hear(choice, said, said.get("content") or choice.get("text") or "")
        self._count(body["usage"])
        self.is_whole = True

    def hear_frame(self, data: str) -> None:
        """Take in one event of a stream."""
        self.raw += data + "\n"
        if data == "[DONE]":
            self.is_whole = True
            return
        frame = json.loads(data)
        if "error" in frame:
            self.error = frame["error"]["code"]
            return
        for choice in frame["choices"]:
            said = choice.get("delta", choice)
            self._hear(choice, said, said.get("content") or choice.get("text") or "")
        if frame.get("usage"):
            self._count(frame["usage"])

    def _hear(self, choice: Mapping[str, Any], said: Mapping[str, Any], text: str) -> None:
        index = choice["index"]
        self.texts[index] = self.texts.get(index, "") + text
        if choice["finish_reason"]:
            self.ends[index] = choice["finish_reason"]
        self.files += [citation["file_id"] for citation in said.get("context", {}).get("citations", ())]

    def _count(self, usage: Mapping[str, Any]) -> None:
        self.tokens = (usage["prompt_tokens"], usage["completion_tokens"])


async def frames(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The data of each event."""
    async for line in lines:
        if line.startswith("data: "):
            yield line.removeprefix("data: ")
