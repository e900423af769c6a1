"""The limits that requests and connections are refused by, as metrics name them: a closed set, no client's words."""

from typing import Literal

Refusal = Literal[
    "body_bytes",
    "body_seconds",
    "concurrent_requests",
    "connections",
    "header_seconds",
    "headers",
    "not_http",
    "requests_per_minute",
    "tokens_per_minute",
    "unread",
]
