"""What the composition root makes of the settings."""

from dataclasses import fields

from server.build import policy
from server.deps import Policy
from server.examples import EXAMPLES
from server.settings import Settings


def test_every_decision_of_the_operator_reaches_the_routes() -> None:
    settings = Settings(
        default_store="handbook",
        retrieval_k=3,
        score_threshold=0.25,
        grounding="strict",
        abstention="Not there.",
        prompt_examples=2,
        max_body_bytes=2048,
        max_upload_bytes=4096,
        max_choices=2,
        heartbeat_seconds=3,
        retry_after_seconds=9,
        public_url="https://ask.example.org/",
    )

    made = policy(settings)

    assert made == Policy(
        default_store="handbook",
        retrieval_k=3,
        score_threshold=0.25,
        grounding="strict",
        abstention="Not there.",
        shots=EXAMPLES[:2],
        max_body_bytes=2048,
        max_upload_bytes=4096,
        max_choices=2,
        heartbeat_s=3,
        retry_after_s=9,
        public_url="https://ask.example.org",
    )
    untouched = [field.name for field in fields(Policy) if getattr(made, field.name) == getattr(Policy(), field.name)]
    assert untouched == []


def test_the_defaults_of_settings_and_policy_agree() -> None:
    assert policy(Settings()) == Policy()


def test_there_are_as_many_examples_as_the_setting_allows() -> None:
    assert policy(Settings(prompt_examples=4)).shots == EXAMPLES
    assert len(EXAMPLES) == 4
