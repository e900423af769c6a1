"""The parts of an answer as JSON."""

from hrm_model.types import TokenLogprob
from server.wire import logprobs


def test_the_bytes_of_tokens_can_be_joined_where_a_character_takes_several() -> None:
    tokens = [TokenLogprob(bytes([byte]), -0.5, ((bytes([byte]), -0.5), (b"x", -1.0))) for byte in "東".encode()]

    told = logprobs(tokens)

    assert told is not None
    assert b"".join(bytes(one["bytes"]) for one in told["content"]).decode() == "東"
    assert [one["token"] for one in told["content"]] == ["\ufffd"] * 3
    assert [other["bytes"] for other in told["content"][0]["top_logprobs"]] == [[0xE6], [ord("x")]]
