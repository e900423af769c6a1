"""What the composition root makes of the settings."""

from dataclasses import fields

from server.building.policy import bounds, policy
from server.connection import Bounds
from server.deps import Policy
from server.examples import EXAMPLES
from server.identity import Limits
from server.settings import Settings


def test_every_decision_of_the_operator_reaches_the_routes() -> None:
    settings = Settings(
        default_store="handbook",
        retrieval_k=3,
        score_threshold=0.25,
        text_weight=0.5,
        late_interaction=20,
        grounding="strict",
        abstention="Not there.",
        prompt_examples=2,
        max_body_bytes=2048,
        max_upload_bytes=4096,
        max_json_depth=17,
        body_seconds=7,
        upload_seconds=70,
        key_requests_per_minute=1,
        key_tokens_per_minute=2,
        key_concurrent_requests=3,
        key_max_tokens=4,
        person_requests_per_minute=5,
        person_tokens_per_minute=6,
        person_concurrent_requests=7,
        person_max_tokens=8,
        max_choices=2,
        heartbeat_seconds=3,
        retry_after_seconds=9,
        cors_origins="https://a.example,https://b.example",
        public_url="https://ask.example.org/",
    )

    made = policy(settings)

    assert made == Policy(
        default_store="handbook",
        retrieval_k=3,
        score_threshold=0.25,
        text_weight=0.5,
        late_interaction=20,
        grounding="strict",
        abstention="Not there.",
        shots=EXAMPLES[:2],
        max_body_bytes=2048,
        max_upload_bytes=4096,
        max_json_depth=17,
        body_s=7,
        upload_s=70,
        key_limits=Limits(1, 2, 3, 4),
        person_limits=Limits(5, 6, 7, 8),
        max_choices=2,
        heartbeat_s=3,
        retry_after_s=9,
        origins=("https://a.example", "https://b.example"),
        public_url="https://ask.example.org",
    )
    untouched = [field.name for field in fields(Policy) if getattr(made, field.name) == getattr(Policy(), field.name)]
    assert untouched == []


def test_the_defaults_of_settings_and_policy_agree() -> None:
    assert policy(Settings()) == Policy()


def test_every_bound_of_a_connection_can_be_set() -> None:
    settings = Settings(
        max_connections=3,
        max_header_bytes=8192,
        header_seconds=1,
        keep_alive_seconds=2,
        unread_seconds=3,
        retry_after_seconds=4,
    )

    assert bounds(settings) == Bounds(3, 8192, header_s=1, keep_alive_s=2, unread_s=3, retry_after_s=4)
    assert bounds(Settings()) == Bounds()


def test_there_are_as_many_examples_as_the_setting_allows() -> None:
    assert policy(Settings(prompt_examples=4)).shots == EXAMPLES
    assert len(EXAMPLES) == 4
