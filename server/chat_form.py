"""How /v1/chat/completions spells an answer: OpenAI's messages and deltas, with sources and reports beside them."""

from typing import Any

from server.events import Called, Closed, Opened, Refused, Said, Spoken
from server.wire import annotations, citations, grounding, intent, logprobs

Json = dict[str, Any]


class ChatForm:
    """Spells the answers of one request."""

    chunk_object = "chat.completion.chunk"
    whole_object = "chat.completion"

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

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
            case Refused(choice, text):
                return [_chunk(choice, {"refusal": text})]
            case Closed(choice, reason, sources, verdict):
                chunks = []
                closing_delta: Json = {}
                if sources is not None and verdict is not None:
                    if verdict.marks:
                        marks = annotations(verdict, sources, self._public_url)
                        chunks.append(_chunk(choice, {"annotations": marks}))
                    closing_delta["context"] = {"grounding": grounding(verdict, sources)}
                return [*chunks, _chunk(choice, closing_delta, reason=reason)]

    def empty(self, index: int) -> Json:
        """A choice before its first chunk."""
        message: Json = {"role": "assistant", "content": "", "refusal": None, "annotations": []}
        return {"index": index, "message": message, "logprobs": None, "finish_reason": None}

    def fold(self, chunk: Json, choice: Json) -> None:
        """Add a chunk to its choice."""
        message, delta = choice["message"], chunk["delta"]
        if "content" in delta:
            message["content"] += delta["content"]
        for piece in delta.get("tool_calls", ()):
            message["content"] = None
            if "id" in piece:
                message["tool_calls"] = [{name: piece[name] for name in ("id", "type", "function")}]
            else:
                message["tool_calls"][0]["function"]["arguments"] += piece["function"]["arguments"]
        if "refusal" in delta:
            message["content"], message["refusal"] = None, delta["refusal"]
        message["annotations"] += delta.get("annotations", [])
        if "context" in delta:
            message["context"] = {**message.get("context", {}), **delta["context"]}
        if chunk["logprobs"] is not None:
            so_far = choice["logprobs"]["content"] if choice["logprobs"] else []
            choice["logprobs"] = {"content": [*so_far, *chunk["logprobs"]["content"]], "refusal": None}
        choice["finish_reason"] = choice["finish_reason"] or chunk["finish_reason"]


def _chunk(choice: int, delta: Json, *, logprobs: Json | None = None, reason: str | None = None) -> Json:
    return {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
