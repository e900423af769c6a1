"""HrmClient against a real socket: answers, streams, and what goes wrong."""

import openai
import pytest
from hrm_client import AnswerStream, Delta, Done, Grounding, HrmClient, Part, Sources

from tests.clients.stub import (
    PATIENCE_S,
    SENTENCE,
    STREAMED,
    Refusal,
    Reply,
    StubServer,
    annotation,
    grounding,
    not_in_the_documents,
    nothing_found,
    passage,
    twenty_seven_days,
)

QUESTION = "How many days of leave are there?"


def parts_of(stream: AnswerStream) -> list[Part]:
    with stream as parts:
        return list(parts)


def test_an_answer_comes_with_its_sources_and_its_citations(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        answer = client.ask(QUESTION)

    [source], [citation] = answer.sources, answer.citations
    assert answer.text == "27 working days. [1]"
    assert (source.number, source.title, source.filename, source.score) == (1, "Leave", "leave.md", 0.8125)
    assert (citation.number, citation.quote) == (1, SENTENCE)
    assert answer.source(citation) is source
    assert answer.grounding == Grounding(
        "supported", sentences=1, supported_sentences=1, retrieved=1, used=1, truncated=False
    )
    assert answer.finish_reason == "stop"
    assert answer.id == "chatcmpl-1"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 95


def test_the_place_of_a_quote_is_its_place_in_the_document(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        answer = client.ask(QUESTION)

    [source], [citation] = answer.sources, answer.citations
    assert citation.start_char is not None
    assert citation.end_char is not None
    inside = slice(citation.start_char - source.start_char, citation.end_char - source.start_char)
    assert source.text[inside] == SENTENCE


def test_addresses_that_the_server_left_relative_are_made_whole(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        [source] = client.ask(QUESTION).sources

    assert source.url.startswith(f"{server.url}/files/file-leave.md/content#char=")


def test_a_stream_tells_the_sources_first_then_the_text_then_everything(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        first, *deltas, last = parts_of(client.stream(QUESTION))

    assert isinstance(first, Sources)
    assert isinstance(last, Done)
    assert [source.filename for source in first.sources] == ["leave.md"]
    assert deltas == [Delta("27 "), Delta("working "), Delta("days."), Delta(" [1]")]
    assert last.answer.sources == first.sources


@pytest.mark.parametrize("reply", [twenty_seven_days(), not_in_the_documents(), nothing_found(), Reply(["Hello."])])
def test_asking_is_reading_a_stream_to_its_end(server: StubServer, reply: Reply) -> None:
    server.reply = reply

    with HrmClient(server.url) as client:
        whole = client.ask(QUESTION)
        *_, last = parts_of(client.stream(QUESTION))

    assert last == Done(whole)


def test_without_retrieval_there_are_no_sources_and_no_verdict(server: StubServer) -> None:
    server.reply = Reply(["Hello."], finish_reason="length")

    with HrmClient(server.url) as client:
        first, *_, last = parts_of(client.stream(QUESTION))

    assert first == Sources(())
    assert isinstance(last, Done)
    assert last.answer.grounding is None
    assert last.answer.finish_reason == "length"


def test_an_abstention_has_sources_and_cites_none(server: StubServer) -> None:
    server.reply = not_in_the_documents()

    with HrmClient(server.url) as client:
        answer = client.ask(QUESTION)

    assert answer.grounding is not None
    assert answer.grounding.status == "abstained"
    assert (len(answer.sources), answer.citations) == (1, ())


def test_offsets_slice_a_text_with_emoji_where_the_server_meant(server: StubServer) -> None:
    source = passage("🏖️ Leave: 27 days 🎉 a year.", at=5)
    text = "Hooray 🎉🏖️! 27 days 🎉. [1]"
    server.reply = Reply(
        list(text),
        citations=[source],
        annotations=[annotation(text, "27 days 🎉. [1]", source, quote="27 days 🎉 a year.")],
        grounding=grounding("partial", sentences=2),
    )

    with HrmClient(server.url) as client:
        *_, last = parts_of(client.stream(QUESTION))

    assert isinstance(last, Done)
    [citation] = last.answer.citations
    assert last.answer.text[citation.start_index : citation.end_index] == "27 days 🎉. [1]"


def test_each_citation_finds_its_own_source(server: StubServer) -> None:
    leave, travel = passage(), passage("Trains are preferred.", file="travel.md", title="Travel", at=0)
    text = "Trains are preferred. [2] 27 working days. [1]"
    server.reply = Reply(
        [text],
        citations=[leave, travel],
        annotations=[
            annotation(text, "Trains are preferred. [2]", travel, quote="Trains are preferred."),
            annotation(text, "27 working days. [1]", leave, quote=SENTENCE, index=1),
        ],
        grounding=grounding(sentences=2, supported=2, passages=2),
    )

    with HrmClient(server.url) as client:
        answer = client.ask(QUESTION)

    assert [citation.number for citation in answer.citations] == [2, 1]


@pytest.mark.parametrize("places", [(0, 500), (500, 0)])
def test_structured_output_has_no_markers_and_its_citations_are_told_by_their_place(
    server: StubServer, places: tuple[int, int]
) -> None:
    sources = [passage(file="other.md"), *(passage(at=place) for place in places)]
    text = '{"days": "27 working days"}'
    server.reply = Reply(
        [text],
        citations=sources,
        annotations=[annotation(text, "27 working days", sources[2], quote=SENTENCE)],
        grounding=grounding(passages=2),
    )

    with HrmClient(server.url) as client:
        [citation] = client.ask(QUESTION).citations

    assert citation.number == 3


def test_a_bracket_that_a_structured_answer_quotes_is_no_marker(server: StubServer) -> None:
    said = "27 working days of leave [2]"
    sources = [passage(f"Full-time staff receive {said}."), passage("Trains are preferred.", file="travel.md")]
    text = f'{{"days": "{said}"}}'
    server.reply = Reply(
        [text],
        citations=sources,
        annotations=[annotation(text, said, sources[0], quote=said)],
        grounding=grounding(passages=2),
    )

    with HrmClient(server.url) as client:
        [citation] = client.ask(QUESTION).citations

    assert citation.number == 1


def test_a_citation_of_something_that_is_not_listed_has_no_number(server: StubServer) -> None:
    text = "27 working days"
    stranger = passage(file="other.md")
    server.reply = Reply(
        [text],
        citations=[passage()],
        annotations=[annotation(text, text, stranger, quote=SENTENCE)],
        grounding=grounding(),
    )

    with HrmClient(server.url) as client:
        answer = client.ask(QUESTION)

    assert answer.citations[0].number is None
    assert answer.source(answer.citations[0]) is None


def test_everything_that_was_asked_for_is_on_the_wire(server: StubServer) -> None:
    with HrmClient(server.url, "secret", model="other") as client:
        client.ask(
            QUESTION,
            store=["handbook", "vs_2"],
            history=[{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good morning."}],
            grounding="strict",
            max_passages=3,
            documents=[{"title": "Note", "text": "27 days."}],
            temperature=0.5,
            top_k=4,
            seed=1,
            max_tokens=20,
            condition="synth,cot",
            min_p=0.1,
            presence_penalty=0.5,
            frequency_penalty=-0.5,
            repetition_penalty=1.1,
            logit_bias={"7": -1},
            stop_token_ids=[9],
            min_tokens=2,
            ignore_eos=False,
            response_format={"type": "text"},
            structured_outputs={"choice": ["yes", "no"]},
        )

    assert server.authorizations == ["Bearer secret"]
    assert server.bodies == [
        {
            "model": "other",
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Good morning."},
                {"role": "user", "content": QUESTION},
            ],
            "retrieval": {"vector_store_ids": ["handbook", "vs_2"], "grounding": "strict", "max_num_results": 3},
            "documents": [{"title": "Note", "text": "27 days."}],
            "temperature": 0.5,
            "top_k": 4,
            "seed": 1,
            "max_tokens": 20,
            "condition": "synth,cot",
            "min_p": 0.1,
            "presence_penalty": 0.5,
            "frequency_penalty": -0.5,
            "repetition_penalty": 1.1,
            "logit_bias": {"7": -1},
            "stop_token_ids": [9],
            "min_tokens": 2,
            "ignore_eos": False,
            "response_format": {"type": "text"},
            "structured_outputs": {"choice": ["yes", "no"]},
            **STREAMED,
        }
    ]


def test_what_was_not_asked_for_is_left_to_the_server(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        client.ask(QUESTION)

    asked = {"model": "hrm-text-mini", "messages": [{"role": "user", "content": QUESTION}], **STREAMED}
    assert server.bodies == [asked]


def test_none_is_as_good_as_nothing_said(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        client.ask(QUESTION, store=None, history=None, grounding=None, max_passages=None, documents=None, timeout=None)
        client.ask(QUESTION)

    with_none, without = server.bodies
    assert with_none == without


def test_a_timeout_of_none_is_the_client_s_own(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.pause_s = 2.0
    server.reply = reply

    with HrmClient(server.url, timeout=0.3, max_retries=0) as client, pytest.raises(openai.APIConnectionError):
        client.ask(QUESTION, timeout=None)


def test_passages_of_which_none_is_left_still_take_the_place_of_a_store(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        client.ask(QUESTION, documents=[])

    assert server.bodies[0]["documents"] == []


def test_a_misspelt_parameter_is_refused_before_anything_is_sent(server: StubServer) -> None:
    with HrmClient(server.url) as client, pytest.raises(TypeError, match="temprature"):
        client.ask(QUESTION, temprature=1.0)  # type: ignore[call-arg]  # the mistake is the point

    assert server.bodies == []


def test_a_server_that_lists_no_model_is_told_apart(server: StubServer) -> None:
    server.models = []

    with HrmClient(server.url) as client, pytest.raises(LookupError, match="no model"):
        client.ask(QUESTION)


def test_the_key_in_the_environment_is_used(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HRM_API_KEY", "from-the-environment")

    with HrmClient(server.url) as client:
        client.ask(QUESTION)

    assert server.authorizations == ["Bearer from-the-environment"]


@pytest.mark.parametrize("key", [None, "mine"])
def test_what_is_meant_for_another_service_is_never_sent(
    server: StubServer, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "of-somebody-else")
    headers = "Authorization: Bearer of-somebody-else\nX-Gateway-Token: of-somebody-else"
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", headers)

    with HrmClient(server.url, key) as client:
        client.ask(QUESTION)
        asked = {"model": "hrm-text-mini", "messages": [{"role": "user", "content": QUESTION}], "stream": True}
        client.openai.with_options(timeout=5).post("/chat/completions", body=asked, cast_to=str)

    assert server.authorizations == [f"Bearer {key or 'none'}"] * 2
    assert not [sent for sent in server.headers if "of-somebody-else" in sent]


def test_the_sources_are_told_before_there_is_any_text(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.silent_after = 0
    server.reply = reply

    with HrmClient(server.url) as client, client.stream(QUESTION) as parts:
        assert isinstance(next(parts), Sources)


def test_leaving_without_reading_closes_the_connection(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.silent_after = 0
    server.reply = reply

    with HrmClient(server.url) as client:
        with client.stream(QUESTION):
            pass

        assert server.left.wait(PATIENCE_S / 2)


def test_leaving_early_closes_the_connection(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.silent_after = 1
    server.reply = reply

    with HrmClient(server.url) as client, client.stream(QUESTION) as parts:
        assert isinstance(next(parts), Sources)
        assert next(parts) == Delta("27 ")

        parts.close()

        assert server.left.wait(PATIENCE_S / 2)
        assert list(parts) == []


def test_an_exception_in_the_loop_closes_the_connection_too(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.silent_after = 1
    server.reply = reply

    def stumble(parts: AnswerStream) -> None:
        with parts:
            next(parts)
            raise ZeroDivisionError

    with HrmClient(server.url) as client:
        with pytest.raises(ZeroDivisionError):
            stumble(client.stream(QUESTION))

        assert server.left.wait(PATIENCE_S / 2)


def test_a_stream_that_is_closed_before_it_was_entered_asks_nothing(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        stream = client.stream(QUESTION)
        stream.close()

        assert list(stream) == []

    assert server.bodies == []


def test_a_stream_can_be_read_without_a_with_block(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        *_, last = client.stream(QUESTION)

    assert isinstance(last, Done)


def test_an_error_frame_is_raised_where_the_text_stops(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.error_after = 2
    server.reply = reply
    seen: list[Part] = []

    with (
        HrmClient(server.url) as client,
        pytest.raises(openai.APIError, match="The engine failed") as raised,
        client.stream(QUESTION) as parts,
    ):
        seen.extend(parts)

    assert raised.value.code == "internal_error"
    assert not any(isinstance(part, Done) for part in seen)


def test_a_body_that_ends_before_the_answer_does_is_not_taken_for_an_answer(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.cut_after = 2
    server.reply = reply

    with HrmClient(server.url) as client, pytest.raises(openai.APIConnectionError, match="before the answer did"):
        parts_of(client.stream(QUESTION))


def test_an_answer_takes_as_long_as_it_takes_while_the_server_says_that_it_is_there(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.pause_s = 0.4
    server.reply = reply

    with HrmClient(server.url, timeout=0.6) as client:
        answer = client.ask(QUESTION)

    assert answer.text == reply.text
    assert len(server.bodies) == 1


def test_a_connection_that_is_torn_is_not_taken_for_an_answer(server: StubServer) -> None:
    reply = twenty_seven_days()
    reply.torn_after = 2
    server.reply = reply

    with HrmClient(server.url) as client, pytest.raises(openai.APIConnectionError):
        client.ask(QUESTION)


def test_refusals_are_the_official_exceptions(server: StubServer) -> None:
    server.reply = Refusal(401, "The API key is missing or wrong.", "invalid_api_key")

    with HrmClient(server.url) as client:
        with pytest.raises(openai.AuthenticationError) as whole:
            client.ask(QUESTION)
        with pytest.raises(openai.AuthenticationError) as streamed, client.stream(QUESTION):
            raise AssertionError("a refused stream must not be entered")

    assert whole.value.code == streamed.value.code == "invalid_api_key"


def test_a_server_that_is_not_there_is_a_connection_error(server: StubServer) -> None:
    with HrmClient("http://127.0.0.1:1/v1", max_retries=0) as client, pytest.raises(openai.APIConnectionError):
        client.ask(QUESTION)


def test_the_official_client_is_within_reach(server: StubServer) -> None:
    with HrmClient(server.url) as client:
        names = [model.id for model in client.openai.models.list()]

    assert names == ["hrm-text-mini@handbook", "hrm-text-mini"]
