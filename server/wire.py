"""The parts of an answer as JSON: citations, annotations, reports, log probabilities."""

import json
from collections.abc import Sequence
from typing import Any

from hrm_model.types import TokenLogprob
from retrieval.types import Passage
from server.events import Sources, Used
from server.grounding.cite import Verdict

Json = dict[str, Any]


def url_of(passage: Passage, start: int, end: int, public_url: str) -> str:
    """Where a span can be read: RFC 5147 character positions in the stored text.

    A passage that the caller brought has no address here; `document:N` names its position in the request.
    """
    if passage.file_id is None:
        return f"{passage.chunk_id}#char={start},{end}"
    return f"{public_url.rstrip('/')}/v1/files/{passage.file_id}/content#char={start},{end}"


def chunk_id_of(passage: Passage) -> str:
    """A passage by its place, which is told anyway: a number of the store's would count what others put in."""
    return f"{passage.file_id or passage.chunk_id}:{passage.start_char}-{passage.end_char}"


def citations(sources: Sources, public_url: str) -> list[Json]:
    """The passages that the model read, in the order in which markers count them."""
    return [
        {
            "content": passage.text,
            "title": passage.title or passage.filename,
            "url": url_of(passage, passage.start_char, passage.end_char, public_url),
            "filepath": passage.filename,
            "chunk_id": chunk_id_of(passage),
            "file_id": passage.file_id,
            "vector_store_id": passage.store_id,
            "page": passage.page,
            "locator": passage.locator,
            "start_char": passage.start_char,
            "end_char": passage.end_char,
            "sha256": passage.sha256,
            "score": passage.score,
            "attributes": dict(passage.attributes),
            "personal_data": list(passage.personal_data),
            "flags": list(passage.flags),
        }
        for passage in sources.passages
    ]


def intent(sources: Sources) -> str:
    """The queries, as the JSON list in a string that Azure's clients parse."""
    return json.dumps(list(sources.queries), ensure_ascii=False)


def annotations(verdict: Verdict, sources: Sources, public_url: str) -> list[Json]:
    """One for each marker, with the span in the stored text that holds the sentence."""
    found = []
    for index, mark in enumerate(verdict.marks):
        passage = sources.passages[mark.support.passage]
        start, end = passage.start_char + mark.support.start, passage.start_char + mark.support.end
        citation = {
            "start_index": mark.start,
            "end_index": mark.end,
            "url": url_of(passage, start, end, public_url),
            "title": passage.title or passage.filename,
            "content": passage.text[mark.support.start : mark.support.end],
            "file_id": passage.file_id,
            "start_char": start,
            "end_char": end,
        }
        found.append({"index": index, "type": "url_citation", "url_citation": citation})
    return found


def grounding(verdict: Verdict, sources: Sources, *, tells_generation: bool) -> Json:
    """How much the sources support, and how much of them the model read.

    Args:
        tells_generation: whether it may be known how often anybody has changed any store.
    """
    return {
        "status": verdict.status,
        "sentences": verdict.sentences,
        "supported_sentences": verdict.supported_sentences,
        "retrieved": sources.retrieved,
        "used": len(sources.passages),
        "truncated": sources.truncated,
        "left_out": sources.left_out,
        "index_generation": sources.generation if tells_generation else None,
        "verdicts": [
            {
                "index": index,
                "verdict": one.verdict,
                "start_index": one.start,
                "end_index": one.end,
                "citations": sorted({support.passage + 1 for support in one.finding.supports}),
                "match": one.finding.match,
                "reason": one.finding.reason,
            }
            for index, one in enumerate(verdict.checked)
        ],
    }


def logprobs(tokens: Sequence[TokenLogprob]) -> Json | None:
    """OpenAI's shape; None for no tokens."""
    if not tokens:
        return None
    return {
        "content": [
            {
                **_token(token.token, token.logprob),
                "top_logprobs": [_token(other, logprob) for other, logprob in token.top],
            }
            for token in tokens
        ],
        "refusal": None,
    }


def usage(used: Used) -> Json:
    """Tokens of the whole request."""
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
    }


def text_of(token: bytes) -> str:
    """A token by itself; parts of a character are U+FFFD each, and only their bytes can be joined."""
    return token.decode("utf-8", errors="replace")


def _token(token: bytes, logprob: float) -> Json:
    return {"token": text_of(token), "logprob": logprob, "bytes": list(token)}
