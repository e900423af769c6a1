"""How /v1/chat/completions spells an answer: OpenAI's messages and deltas, with sources and reports beside them."""

from collections.abc import Sequence
from itertools import chain

from server.events import Called, Closed, Opened, Recited, Refused, Said, Spoken
from server.wire import Json, annotations, citations, grounding, intent, logprobs


class ChatForm:
    """Spells the answers of one request."""

    chunk_object = "chat.completion.chunk"
    whole_object = "chat.completion"

    def __init__(self, public_url: str, *, tells_generation: bool) -> None:
        self._public_url = public_url
        self._tells_generation = tells_generation

    def chunks(self, event: Spoken) -> list[Json]:
        """The choices that one event puts on the wire, in the order in which clients expect them."""
        match event:
            case Opened(choice, sources):
                delta: Json = {"role": "assistant", "content": ""}
                if sources is not None:
                    delta["context"] = {"citations": citations(sources, self._public_url), "intent": intent(sources)}
                return [_chunk(choice, delta)]
            case Said(choice, text, tokens):
                return [_chunk(choice, {"content": text}, logprobs=logprobs(tokens))]
            case Called(choice, call_id, name, arguments, tokens):
                call: Json = {"index": 0, "function": {"arguments": arguments}}
                if call_id:
                    call = {
                        "index": 0,
                        "id": call_id,
                        "type": "function",
                        "function": {"name": name, "arguments": arguments},
                    }
                return [_chunk(choice, {"tool_calls": [call]}, logprobs=logprobs(tokens))]
            case Recited():
                raise AssertionError("this route gives an answer no beginning")
            case Refused(choice, text):
                return [_chunk(choice, {"refusal": text})]
            case Closed(choice, reason, sources, verdict):
                chunks = []
                closing_delta: Json = {}
                if sources is not None and verdict is not None:
                    if verdict.marks:
                        marks = annotations(verdict, sources, self._public_url)
                        chunks.append(_chunk(choice, {"annotations": marks}))
                    report = grounding(verdict, sources, tells_generation=self._tells_generation)
                    closing_delta["context"] = {"grounding": report}
                return [*chunks, _chunk(choice, closing_delta, reason=reason)]

    def folded(self, index: int, chunks: Sequence[Json]) -> Json:
        """A choice of a whole answer, made of all its chunks."""
        deltas = [chunk["delta"] for chunk in chunks]
        calls = [piece for delta in deltas for piece in delta.get("tool_calls", ())]
        refusals = [delta["refusal"] for delta in deltas if "refusal" in delta]
        content = "".join(delta.get("content", "") for delta in deltas)
        message: Json = {
            "role": "assistant",
            "content": None if calls or refusals else content,
            "refusal": refusals[-1] if refusals else None,
            "annotations": [mark for delta in deltas for mark in delta.get("annotations", ())],
        }
        if calls:
            arguments = "".join(piece["function"]["arguments"] for piece in calls)
            first = calls[0]
            function = {"name": first["function"]["name"], "arguments": arguments}
            message["tool_calls"] = [{"id": first["id"], "type": first["type"], "function": function}]
        for delta in deltas:
            if "context" in delta:
                message["context"] = message.get("context", {}) | delta["context"]
        spelled = [chunk["logprobs"]["content"] for chunk in chunks if chunk["logprobs"] is not None]
        return {
            "index": index,
            "message": message,
            "logprobs": {"content": list(chain.from_iterable(spelled)), "refusal": None} if spelled else None,
            "finish_reason": ending(chunks),
        }


def ending(chunks: Sequence[Json]) -> str | None:
    """How a choice ended."""
    return next((chunk["finish_reason"] for chunk in chunks if chunk["finish_reason"]), None)


def _chunk(choice: int, delta: Json, *, logprobs: Json | None = None, reason: str | None = None) -> Json:
    return {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
