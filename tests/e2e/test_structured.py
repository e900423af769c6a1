"""Structured output as the unmodified official client asks for it, from the real engine over a random network."""

import json
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from tests.e2e.official import client_of_tiny
from tests.engines import Tiny
from tests.fakes.serving import MODEL

pytestmark = pytest.mark.anyio

ASK: Any = [{"role": "user", "content": "Who leads the claims desk?"}]
SAMPLING: Any = {"max_tokens": 300, "temperature": 1.0, "seed": 11}


class Address(BaseModel):
    floor: int
    wing: Literal["north", "south"]


class Desk(BaseModel):
    """What is to be known of a desk."""

    name: Literal["claims", "glass claims"]
    is_open: bool
    address: Address
    deputies: list[Literal["Ana", "Bo"]]


SCHEMA: Any = {
    "type": "object",
    "properties": {"days": {"type": "integer", "minimum": 1, "maximum": 99}, "unit": {"enum": ["days", "weeks"]}},
    "required": ["days", "unit"],
}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "leave", "schema": SCHEMA, "strict": False}}


async def test_an_answer_is_parsed_into_a_model_whole_and_streamed(tiny: Tiny) -> None:
    async with client_of_tiny(tiny) as client:
        whole = await client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Desk, **SAMPLING)
        async with client.chat.completions.stream(
            model=MODEL, messages=ASK, response_format=Desk, **SAMPLING
        ) as stream:
            kinds = {event.type async for event in stream}
            streamed = await stream.get_final_completion()

    assert isinstance(whole.choices[0].message.parsed, Desk)
    assert whole.choices[0].finish_reason == "stop"
    assert streamed.choices[0].message.parsed == whole.choices[0].message.parsed
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    assert {"content.delta", "content.done"} <= kinds


async def test_each_of_n_answers_validates_on_both_routes(tiny: Tiny) -> None:
    async with client_of_tiny(tiny) as client:
        chat = await client.chat.completions.create(model=MODEL, messages=ASK, response_format=FORMAT, n=3, **SAMPLING)
        plain = await client.completions.create(
            model=MODEL, prompt=["Why?", "How?"], n=2, extra_body={"response_format": FORMAT}, **SAMPLING
        )

    texts = [choice.message.content or "" for choice in chat.choices] + [choice.text for choice in plain.choices]
    assert len(texts) == 7
    for text in texts:
        Draft202012Validator(SCHEMA).validate(json.loads(text))


@pytest.mark.parametrize(
    ("structure", "accepted"),
    [
        ({"choice": ["yes", "no"]}, {"yes", "no"}),
        ({"regex": "(one|two) days?"}, {"one day", "one days", "two day", "two days"}),
        ({"grammar": 'start: "<" ("a" | "b") ">"'}, {"<a>", "<b>"}),
        ({"json": {"const": 5}}, {"5"}),
        ({"json": '{"const": 5}'}, {"5"}),
    ],
)
async def test_vllms_names_work_on_both_routes(tiny: Tiny, structure: dict[str, Any], accepted: set[str]) -> None:
    extra = {"structured_outputs": structure}
    async with client_of_tiny(tiny) as client:
        chat = await client.chat.completions.create(model=MODEL, messages=ASK, extra_body=extra, **SAMPLING)
        stream = await client.completions.create(model=MODEL, prompt="Why?", extra_body=extra, stream=True, **SAMPLING)
        streamed = "".join([chunk.choices[0].text async for chunk in stream])

    assert chat.choices[0].message.content in accepted
    assert chat.choices[0].finish_reason == "stop"
    assert streamed in accepted


async def test_any_json_object_begins_and_parses_as_one(tiny: Tiny) -> None:
    async with client_of_tiny(tiny) as client:
        answer = await client.chat.completions.create(
            model=MODEL, messages=ASK, response_format={"type": "json_object"}, max_tokens=1500, temperature=1, seed=3
        )

    content = answer.choices[0].message.content or ""
    assert content.startswith("{")
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(content), dict)


async def test_an_answer_that_is_cut_says_so(tiny: Tiny) -> None:
    async with client_of_tiny(tiny) as client:
        with pytest.raises(openai.LengthFinishReasonError):
            await client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Desk, max_tokens=4)


async def test_a_grounded_answer_has_no_markers_in_it(tiny: Tiny, tmp_path: Path) -> None:
    leave: Any = {"type": "object", "properties": {"days": {"const": "28 days"}}, "required": ["days"]}
    shape: Any = {"type": "json_schema", "json_schema": {"name": "leave", "schema": leave}}
    asked: Any = [{"role": "user", "content": "How many days of paid leave do full-time staff receive?"}]
    async with client_of_tiny(tiny, tmp_path) as client:
        answer = await client.chat.completions.create(
            model=MODEL, messages=asked, response_format=shape, max_tokens=100
        )

    message = answer.choices[0].message
    assert json.loads(message.content or "") == {"days": "28 days"}
    (annotation,) = message.annotations or []
    cited = annotation.url_citation
    assert (message.content or "")[cited.start_index : cited.end_index] == "28 days"
    assert (message.model_extra or {})["context"]["grounding"]["status"] == "supported"


@pytest.mark.parametrize("stream", [False, True])
async def test_strict_grounding_refuses_instead_of_breaking_the_form(tiny: Tiny, tmp_path: Path, stream: bool) -> None:
    asked: Any = {"model": MODEL, "messages": ASK, "response_format": Desk, **SAMPLING}
    async with client_of_tiny(tiny, tmp_path, grounding="strict", abstention="The documents do not say.") as client:
        if stream:
            async with client.chat.completions.stream(**asked) as frames:
                kinds = [event.type async for event in frames]
                answer = await frames.get_final_completion()
            assert "refusal.done" in kinds
        else:
            answer = await client.chat.completions.parse(**asked)
        message = answer.choices[0].message
        talk: Any = [*ASK, message, {"role": "user", "content": "Who leads the claims desk?"}]
        going_on = await client.chat.completions.create(model=MODEL, messages=talk, max_tokens=8)

    assert message.refusal == "The documents do not say."
    assert message.parsed is None
    assert not message.content
    assert going_on.choices[0].message.content


async def test_where_nothing_is_found_the_answer_is_a_refusal(tiny: Tiny, tmp_path: Path) -> None:
    async with client_of_tiny(tiny, tmp_path, score_threshold=1.0) as client:
        answer = await client.chat.completions.parse(
            model=MODEL, messages=ASK, response_format=Desk, extra_body={"retrieval": {}}
        )

    assert answer.choices[0].message.refusal == "The documents do not contain the answer."
    assert answer.choices[0].message.content is None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("extra", "param", "problem"),
    [
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"items": {"not": {}}}},
                }
            },
            "response_format.json_schema.schema.items.not",
            "not supported",
        ),
        ({"structured_outputs": {"json": {"type": "str"}}}, "structured_outputs.json", "Invalid type: str"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json", "not JSON"),
        ({"structured_outputs": {"regex": "("}}, "structured_outputs.regex", "unclosed group"),
        ({"structured_outputs": {"grammar": "start: x"}}, "structured_outputs.grammar", "unknown name"),
        ({"structured_outputs": {"choice": ["x" * 70_000]}}, "structured_outputs.choice", "65536 bytes"),
    ],
)
async def test_a_shape_that_cannot_be_kept_is_a_400_on_both_routes(
    tiny: Tiny, extra: dict[str, Any], param: str, problem: str, stream: bool
) -> None:
    async with client_of_tiny(tiny) as client:
        for ask in (
            client.chat.completions.create(model=MODEL, messages=ASK, extra_body=extra, stream=stream),
            client.completions.create(model=MODEL, prompt="Why?", extra_body=extra, stream=stream),
        ):
            with pytest.raises(openai.BadRequestError) as refused:
                await ask
            assert refused.value.param == param
            assert problem in refused.value.message
