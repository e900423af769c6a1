"""The operator's decisions, from settings to plain values."""

from dataclasses import replace

from server.connection import Bounds
from server.deps import Policy
from server.examples import EXAMPLES
from server.identity import Limits
from server.settings import Settings
from server.tls import TlsFiles

# A Prometheus or two, each with a connection that it keeps; whoever opens more gets a 503.
_SCRAPERS = 16


def policy(settings: Settings) -> Policy:
    """The operator's decisions, as the routes read them."""
    return Policy(
        default_store=settings.default_store,
        retrieval_k=settings.retrieval_k,
        score_threshold=settings.score_threshold,
        text_weight=settings.text_weight,
        late_interaction=settings.late_interaction,
        grounding=settings.grounding,
        abstention=settings.abstention,
        shots=EXAMPLES[: settings.prompt_examples],
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        max_json_depth=settings.max_json_depth,
        body_s=settings.body_seconds,
        upload_s=settings.upload_seconds,
        max_choices=settings.max_choices,
        heartbeat_s=settings.heartbeat_seconds,
        retry_after_s=settings.retry_after_seconds,
        origins=tuple(filter(None, settings.cors_origins.split(","))),
        key_limits=Limits(
            settings.key_requests_per_minute,
            settings.key_tokens_per_minute,
            settings.key_concurrent_requests,
            settings.key_max_tokens,
        ),
        person_limits=Limits(
            settings.person_requests_per_minute,
            settings.person_tokens_per_minute,
            settings.person_concurrent_requests,
            settings.person_max_tokens,
        ),
        public_url=settings.public_url.rstrip("/"),
    )


def bounds(settings: Settings) -> Bounds:
    """What connections may take."""
    return Bounds(
        connections=settings.max_connections,
        header_bytes=settings.max_header_bytes,
        header_s=settings.header_seconds,
        keep_alive_s=settings.keep_alive_seconds,
        unread_s=settings.unread_seconds,
        retry_after_s=settings.retry_after_seconds,
    )


def metrics_bounds(settings: Settings) -> Bounds:
    """What connections to the metrics' own listener may take: the same, but only a few at a time."""
    few = min(settings.max_connections, _SCRAPERS)
    return replace(bounds(settings), connections=few)


def tls_files(settings: Settings) -> TlsFiles | None:
    """Where the TLS files are; None: the server speaks plain HTTP."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, settings.tls_minimum)
