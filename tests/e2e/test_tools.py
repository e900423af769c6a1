"""Function calls as the unmodified official client asks for them, from the real engine over a random network."""

import json
from typing import Any, Literal

import openai
import pytest
from openai import pydantic_function_tool
from pydantic import BaseModel

from tests.e2e.official import client_of_tiny
from tests.engines import Tiny
from tests.fakes.serving import MODEL

pytestmark = pytest.mark.anyio

ASK: Any = [{"role": "user", "content": "Book three days of leave for Ana."}]
SAMPLING: Any = {"max_tokens": 300, "temperature": 1.0}


class Period(BaseModel):
    days: int
    kind: Literal["leave", "sick"]


class BookLeave(BaseModel):
    """Books days off."""

    who: Literal["Ana", "Bo"]
    period: Period


class FindDesk(BaseModel):
    """Finds the desk that is responsible."""

    desk: Literal["claims", "glass"]
    period: Period


TOOLS: Any = [pydantic_function_tool(BookLeave), pydantic_function_tool(FindDesk)]
MODELS: dict[str, type[BaseModel]] = {"BookLeave": BookLeave, "FindDesk": FindDesk}


async def test_a_required_call_is_parsed_whole_and_streamed(tiny: Tiny) -> None:
    asked: Any = {"model": MODEL, "messages": ASK, "tools": TOOLS, "tool_choice": "required", **SAMPLING}
    async with client_of_tiny(tiny) as client:
        for seed in range(4):
            whole = await client.chat.completions.parse(**asked, seed=seed)
            async with client.chat.completions.stream(**asked, seed=seed) as stream:
                kinds = {event.type async for event in stream}
                streamed = await stream.get_final_completion()

            (call,) = whole.choices[0].message.tool_calls or []
            assert isinstance(call.function.parsed_arguments, MODELS[call.function.name])
            assert whole.choices[0].finish_reason == streamed.choices[0].finish_reason == "tool_calls"
            (again,) = streamed.choices[0].message.tool_calls or []
            assert (again.function.name, again.function.parsed_arguments) == (
                call.function.name,
                call.function.parsed_arguments,
            )
            assert {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds


async def test_a_named_function_is_called_in_each_of_n_answers(tiny: Tiny) -> None:
    choice: Any = {"type": "function", "function": {"name": "FindDesk"}}
    async with client_of_tiny(tiny) as client:
        answer = await client.chat.completions.create(
            model=MODEL, messages=ASK, tools=TOOLS, tool_choice=choice, n=3, parallel_tool_calls=False, **SAMPLING
        )

    calls: list[Any] = [call for one in answer.choices for call in one.message.tool_calls or []]
    assert [call.function.name for call in calls] == ["FindDesk"] * 3
    for call in calls:
        FindDesk.model_validate_json(call.function.arguments)
    assert len({call.id for call in calls}) == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_the_conversation_goes_on_with_the_result_of_a_call(tiny: Tiny, stream: bool) -> None:
    asked: Any = {"model": MODEL, "messages": ASK, "tools": TOOLS, "tool_choice": "required", **SAMPLING}
    async with client_of_tiny(tiny) as client:
        if stream:
            async with client.chat.completions.stream(**asked) as pieces:
                first = await pieces.get_final_completion()
        else:
            first = await client.chat.completions.parse(**asked)
        message = first.choices[0].message
        (call,) = message.tool_calls or []
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"booked": True})}
        messages: Any = [*ASK, message, result]
        second = await client.chat.completions.create(
            model=MODEL, messages=messages, tools=TOOLS, tool_choice="none", max_tokens=8
        )

    assert second.choices[0].message.content
    assert second.choices[0].message.tool_calls is None


async def test_left_to_the_model_is_refused_by_name(tiny: Tiny) -> None:
    async with client_of_tiny(tiny) as client:
        with pytest.raises(openai.BadRequestError, match="not trained to decide") as refused:
            await client.chat.completions.create(model=MODEL, messages=ASK, tools=TOOLS)

    assert refused.value.param == "tool_choice"
