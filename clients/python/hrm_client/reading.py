"""The frames of an answer, folded: knows the wire's names, not how the frames arrive."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk

from hrm_client.answers import Answer, Citation, Delta, Done, Grounding, Part, Source, Sources

# RFC 5147, as the server writes it into the address of a passage.
_CHARACTERS = re.compile(r"#char=(\d+),(\d+)$")
_MARKER = re.compile(r"\[(\d+)\]$")


class Reading:
    """One answer while it arrives."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._id = ""
        self._pieces: list[str] = []
        self._sources: list[Source] = []
        self._annotations: list[Mapping[str, Any]] = []
        self._grounding: dict[str, Any] = {}
        self._usage: CompletionUsage | None = None
        self._refusal = ""
        self._finish_reason: str | None = None
        self._sources_told = False

    @property
    def is_finished(self) -> bool:
        """Whether the server has said how the answer ended; a connection may break before."""
        return self._finish_reason is not None

    def chunk(self, chunk: ChatCompletionChunk) -> Iterator[Part]:
        """Take in one frame of a stream, and yield what it brings: the sources first, exactly once."""
        self._id = self._id or chunk.id
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices:
            text = self._take(choice.delta.to_dict())
            self._finish_reason = choice.finish_reason or self._finish_reason
            # The role and the sources may come in one frame or in two; text or the end settles it.
            if not self._sources_told and (self._sources or text or self.is_finished):
                self._sources_told = True
                yield Sources(tuple(self._sources))
            if text:
                yield Delta(text)

    def done(self) -> Done:
        """The part that ends a stream."""
        return Done(self.answer())

    def answer(self) -> Answer:
        """Everything so far, as an answer."""
        assert self._finish_reason is not None, "an answer is made of a reading that has finished"
        text = "".join(self._pieces)
        return Answer(
            id=self._id,
            text=text,
            sources=tuple(self._sources),
            citations=tuple(self._citation(annotation, text) for annotation in self._annotations),
            grounding=_grounding(self._grounding) if self._grounding else None,
            finish_reason=self._finish_reason,
            usage=self._usage,
            refusal=self._refusal or None,
        )

    def _take(self, delta: Mapping[str, Any]) -> str:
        text: str = delta.get("content") or ""
        self._pieces.append(text)
        self._refusal += delta.get("refusal") or ""
        self._annotations += delta.get("annotations") or ()
        context = delta.get("context") or {}
        for entry in context.get("citations") or ():
            self._sources.append(self._source(entry))
        self._grounding |= context.get("grounding") or {}
        return text

    def _source(self, entry: Mapping[str, Any]) -> Source:
        return Source(
            number=len(self._sources) + 1,
            title=entry["title"],
            filename=entry["filepath"] or "",
            url=self._address(entry["url"]),
            start_char=entry["start_char"],
            end_char=entry["end_char"],
            text=entry["content"],
            score=entry["score"],
            file_id=entry["file_id"],
        )

    def _citation(self, annotation: Mapping[str, Any], text: str) -> Citation:
        cited = annotation["url_citation"]
        start_index, end_index = cited["start_index"], cited["end_index"]
        url = self._address(cited["url"])
        span = _span(url)
        return Citation(
            start_index=start_index,
            end_index=end_index,
            number=_number(url, text[start_index:end_index], self._sources),
            url=url,
            title=cited["title"],
            quote=cited.get("content") or "",
            start_char=span[0] if span else None,
            end_char=span[1] if span else None,
        )

    def _address(self, url: str | None) -> str:
        # A server that does not know its public name leaves the addresses relative to itself.
        return urljoin(self._base_url, url) if url else ""


def _span(url: str) -> tuple[int, int] | None:
    found = _CHARACTERS.search(url)
    return (int(found[1]), int(found[2])) if found else None


def _number(url: str, sentence: str, sources: list[Source]) -> int | None:
    """The source behind an annotation: its address says so, and among several there, the marker that ends it.

    A marker alone would not do: structured answers have none of the server's, and may quote one of a document's.
    """
    there = [source.number for source in sources if _is_within(url, source)]
    marker = _MARKER.search(sentence)
    marked = int(marker[1]) if marker else 0
    return marked if marked in there else next(iter(there), None)


def _is_within(url: str, source: Source) -> bool:
    span, same_document = _span(url), source.url.partition("#")[0] == url.partition("#")[0]
    return same_document and span is not None and source.start_char <= span[0] and span[1] <= source.end_char


def _grounding(found: Mapping[str, Any]) -> Grounding:
    return Grounding(
        status=found["status"],
        sentences=found["sentences"],
        supported_sentences=found["supported_sentences"],
        retrieved=found["retrieved"],
        used=found["used"],
        truncated=found["truncated"],
    )
