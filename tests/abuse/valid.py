"""One or more valid requests of every route: what mutations start from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

MODEL = "hrm-text-mini"
FILE, STORE, BATCH = "{file_id}", "{store}", "{batch_id}"
_TEXT = b"Full-time staff receive 28 days of paid leave each year."

_MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How many days?"},
    {"role": "assistant", "content": "28."},
    {"role": "user", "content": [{"type": "text", "text": "And part-time?"}]},
]
_SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
_FILTERS = {
    "type": "and",
    "filters": [
        {"type": "eq", "key": "year", "value": 2026},
        {"type": "or", "filters": [{"type": "in", "key": "team", "value": ["a", "b"]}]},
    ],
}
_RANKING = {
    "ranker": "default-2024-11-15",
    "score_threshold": 0.1,
    "hybrid_search": {"embedding_weight": 2, "text_weight": 1},
}
_ACCESS = {"read": ["user:ann", "group:staff"], "write": ["user:ann"]}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is before it is spelled out. `path` may have the placeholders above."""

    method: str
    path: str
    body: Any = None  # JSON
    query: str = ""
    raw: bytes | None = None  # instead of JSON
    content_type: str = "application/json"

    def filled(self, names: Mapping[str, str]) -> "Request":
        """The same with names in the place of placeholders."""
        path, body = self.path, json.dumps(self.body)
        for placeholder, name in names.items():
            path, body = path.replace(placeholder, name), body.replace(placeholder, name)
        return replace(self, path=path, body=json.loads(body))


def form(fields: Mapping[str, str], filename: str = "note.txt", content: bytes = _TEXT) -> tuple[bytes, str]:
    """A multipart form with a file."""
    asked = httpx.Request("POST", "http://x", data=dict(fields), files={"file": (filename, content)})
    return asked.read(), asked.headers["content-type"]


_UPLOAD, _UPLOAD_TYPE = form(
    {"purpose": "assistants", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
)

REQUESTS: Sequence[Request] = (
    Request(
        "POST",
        "/v1/chat/completions",
        {
            "model": f"{MODEL}@none",
            "messages": _MESSAGES,
            "max_tokens": 8,
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 7,
            "stop": ["."],
            "n": 2,
            "logprobs": True,
            "top_logprobs": 2,
            "logit_bias": {"5": -1},
            "stream": True,
            "stream_options": {"include_usage": True},
            "metadata": {"a": "b"},
        },
    ),
    Request(
        "POST",
        "/v1/chat/completions",
        {
            "model": MODEL,
            "messages": _MESSAGES[-1:],
            "tools": [
                {
                    "type": "file_search",
                    "vector_store_ids": [STORE],
                    "max_num_results": 3,
                    "filters": _FILTERS,
                    "ranking_options": _RANKING,
                }
            ],
            "condition": "direct",
        },
    ),
    Request(
        "POST",
        "/v1/chat/completions",
        {
            "model": MODEL,
            "messages": _MESSAGES[-1:],
            "documents": [{"title": "Leave", "text": "28 days."}],
            "retrieval": {"grounding": "strict", "max_context_tokens": 200},
            "response_format": {"type": "json_schema", "json_schema": {"name": "days", "schema": _SCHEMA}},
        },
    ),
    Request(
        "POST",
        "/v1/chat/completions",
        {
            "model": f"{MODEL}@none",
            "messages": _MESSAGES[-1:],
            "tools": [{"type": "function", "function": {"name": "leave", "parameters": _SCHEMA}}],
            "tool_choice": "required",
        },
    ),
    Request(
        "POST",
        "/v1/completions",
        {"model": MODEL, "prompt": ["a b", "c"], "max_tokens": 4, "echo": True, "logprobs": 1, "n": 2, "stream": True},
    ),
    Request("POST", "/v1/completions", {"model": MODEL, "prompt": [[1, 2, 3]], "max_tokens": 4, "suffix": None}),
    Request("POST", "/v1/embeddings", {"model": "words-apart", "input": ["a", "b"], "encoding_format": "base64"}),
    Request("POST", "/v1/embeddings", {"model": "words-apart", "input": [[1, 2]], "dimensions": 512}),
    Request("GET", "/v1/files", query="limit=2&order=asc&purpose=assistants"),
    Request("POST", "/v1/files", raw=_UPLOAD, content_type=_UPLOAD_TYPE),
    Request("GET", f"/v1/files/{FILE}"),
    Request("POST", f"/v1/files/{FILE}", {"access": _ACCESS}),
    Request("DELETE", f"/v1/files/{FILE}"),
    Request("GET", f"/v1/files/{FILE}/content", query="form=original"),
    Request("GET", f"/v1/files/{FILE}/content", query="start=1&end=3"),
    Request("GET", "/v1/vector_stores", query="limit=2&order=desc"),
    Request(
        "POST",
        "/v1/vector_stores",
        {
            "name": "Leave",
            "description": "About leave",
            "file_ids": [FILE],
            "chunking_strategy": {
                "type": "static",
                "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 20},
            },
            "expires_after": {"anchor": "last_active_at", "days": 3},
            "metadata": {"a": "b"},
            "access": _ACCESS,
        },
    ),
    Request("GET", f"/v1/vector_stores/{STORE}"),
    Request("POST", f"/v1/vector_stores/{STORE}", {"name": "New", "metadata": {"a": "c"}, "access": _ACCESS}),
    Request("DELETE", f"/v1/vector_stores/{STORE}"),
    Request(
        "POST",
        f"/v1/vector_stores/{STORE}/search",
        {
            "query": ["leave", "and staff?"],
            "max_num_results": 3,
            "filters": _FILTERS,
            "ranking_options": _RANKING,
            "rewrite_query": True,
        },
    ),
    Request("POST", f"/v1/vector_stores/{STORE}/files", {"file_id": FILE, "attributes": {"year": 2026, "team": "a"}}),
    Request("GET", f"/v1/vector_stores/{STORE}/files", query="filter=completed&limit=3"),
    Request("GET", f"/v1/vector_stores/{STORE}/files/{FILE}"),
    Request("POST", f"/v1/vector_stores/{STORE}/files/{FILE}", {"attributes": {"year": 2025, "is_new": True}}),
    Request("DELETE", f"/v1/vector_stores/{STORE}/files/{FILE}"),
    Request("GET", f"/v1/vector_stores/{STORE}/files/{FILE}/content"),
    Request("POST", f"/v1/vector_stores/{STORE}/file_batches", {"file_ids": [FILE], "attributes": {"year": 2026}}),
    Request("POST", f"/v1/vector_stores/{STORE}/file_batches", {"files": [{"file_id": FILE}]}),
    Request("GET", f"/v1/vector_stores/{STORE}/file_batches/{BATCH}"),
    Request("GET", f"/v1/vector_stores/{STORE}/file_batches/{BATCH}/files", query="limit=1"),
    Request("POST", f"/v1/vector_stores/{STORE}/file_batches/{BATCH}/cancel"),
    Request("GET", "/v1/erasures", query="limit=2&order=asc"),
    Request("GET", "/v1/erasures/{erasure_id}"),
    Request("GET", "/v1/models"),
    Request("GET", "/v1/models/{model}"),
    Request("GET", "/livez"),
    Request("GET", "/readyz"),
    Request("GET", "/metrics"),
    Request("GET", "/openapi.json"),
)
