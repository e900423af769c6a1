"""A conversation and its passages, packed into one prompt that leaves room for the answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hrm_model.errors import ContextLengthExceeded
from hrm_model.template import READ_THE_PASSAGES, Shot, Source, Turn, compose
from hrm_model.types import Condition, Question
from retrieval.types import Passage
from server.errors import InvalidRequest
from server.fitting import LEAST, costs, fitting
from server.neighbours import Between, joined
from server.ports import Engine
from server.schemas.chat import Message
from server.schemas.fields import is_blank

# Markers of earlier answers count sources that the next prompt does not have.
_MARKER = re.compile(r" \[\d+\]")


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages, sorted by what the prompt does with them."""

    question: str
    turns: tuple[Turn, ...]
    system: str

    @property
    def earlier_questions(self) -> list[str]:
        """The user's turns before the question, oldest first."""
        return [turn.text for turn in self.turns if turn.role == "user"]


@dataclass(frozen=True, slots=True)
class Packed:
    """A prompt, the passages in it, and whether something that was found had to stay out."""

    prompt: Question
    passages: tuple[Passage, ...]  # neighbours as one
    truncated: bool
    left_out: int = 0  # passages of which nothing is in the prompt


def conversation(messages: Sequence[Message]) -> Conversation:
    """Sort messages.

    Raises:
        InvalidRequest: there is no question to answer at the end.
    """
    at = _asked(messages)
    last = messages[at]
    for number, message in enumerate(messages):
        if message.is_missing:
            raise InvalidRequest(
                "A message without a call or a refusal needs a content.", param=f"messages[{number}].content"
            )
    if is_blank(last.text()):
        raise InvalidRequest("The last message is empty.", param=f"messages[{at}].content")
    system = [message.text().strip() for message in messages if message.role in ("system", "developer")]
    turns = [
        Turn(message.role, _MARKER.sub("", message.text()) if message.role == "assistant" else message.text())
        for number, message in enumerate(messages)
        if number != at and message.role not in ("system", "developer")
    ]
    return Conversation(last.text(), tuple(turns), "\n\n".join(filter(None, system)))


def _asked(messages: Sequence[Message]) -> int:
    """Where the question is: at the end, or before the calls that were made for it and their results."""
    at = len(messages) - 1
    if messages[at].role == "tool":
        while at > 0 and (messages[at].role == "tool" or messages[at].tool_calls):
            at -= 1
    if messages[at].role != "user":
        raise InvalidRequest(
            "The last message must be the user's, or the result of a function called for it.",
            param=f"messages[{len(messages) - 1}].role",
        )
    return at


def refuse_hopeless(talk: Conversation, engine: Engine) -> None:
    """Refuse a conversation that cannot fit, before anything is looked up for it.

    Raises:
        ContextLengthExceeded: it has more tokens than the model can read.
    """
    text, limit = _spelled(talk, (), ()), engine.limits.context_tokens
    # A body may hold a text a thousand times as long as the context; counting takes hundreds of bytes for each of its.
    if (least := engine.least(text)) > limit:
        raise ContextLengthExceeded(least, limit, is_least=True)
    if len(text) > limit:  # characters: shorter ones are left to the engine, which counts every prompt
        tokens = engine.count([text])[0]
        if tokens > limit:
            raise ContextLengthExceeded(prompt_tokens=tokens, limit=limit)


def pack(
    talk: Conversation,
    passages: Sequence[Passage],
    *,
    engine: Engine,
    condition: tuple[Condition, ...],
    max_tokens: int | None,
    max_context_tokens: int | None,
    shots: Sequence[Shot] = (),
    between: Between | None = None,
) -> Packed:
    """Compose the prompt with as many passages as fit, in the order given; neighbours among them become one.

    The first passage is cut at a sentence when it is too long alone; later ones are left out whole (server/fitting.py).

    Args:
        max_tokens: what the answer may take; None keeps a quarter of the context free, at most the engine's default.
        max_context_tokens: what the passages may take, below the engine's own limit.
        between: what stands at the `server.neighbours.gaps` of the passages; neighbours are joined where it is known.

    Raises:
        ContextLengthExceeded: the question and the answer leave no room for passages.
        InvalidRequest: they leave some, and not even a part of any passage fits into it.
    """
    if not passages:
        return Packed(Question(_spelled(talk, (), ()), condition), (), truncated=False)

    limits = engine.limits
    context = min(limits.context_tokens, limits.kv_tokens)
    reserved = max_tokens or min(limits.default_max_tokens, context // 4)
    controls = len(condition) + 2  # the question's opening and closing token
    bare, read = engine.count([_spelled(talk, (), shots), READ_THE_PASSAGES])
    budget = min(limits.max_context_tokens, max_context_tokens or limits.max_context_tokens)
    room = free = min(budget, context - reserved - controls - bare - read)
    if free < LEAST:
        raise ContextLengthExceeded(bare + read + controls + LEAST, context, max_tokens=reserved)

    # Tokens of the parts do not add up exactly to those of the whole, so the whole has the last word.
    while used := fitting(passages, engine, room):
        # After they were found to fit: joined they take no more, and a long one would have to be cut as a whole.
        read_as = joined(used, between or {})
        text = _spelled(talk, read_as, shots)
        excess = engine.count([text])[0] + controls + reserved - context
        if excess <= 0:
            left_out = len(passages) - len(used)
            return Packed(Question(text, condition), tuple(read_as), used != list(passages), left_out)
        room = sum(costs(used, engine)) - excess
    raise _nothing_fits(passages, free)


def _nothing_fits(passages: Sequence[Passage], room: int) -> InvalidRequest:
    """Name the first passage, as the caller knows it."""
    brought = passages[0].file_id is None
    name = "'documents[0]'" if brought else f"the first passage found ('{passages[0].title or passages[0].filename}')"
    return InvalidRequest(
        f"Nothing of {name} fits into the {room} tokens that the question and the answer leave for passages.",
        param="documents[0]" if brought else "messages",
        code="context_length_exceeded",
    )


def _spelled(talk: Conversation, passages: Sequence[Passage], shots: Sequence[Shot]) -> str:
    sources = [Source(passage.title, passage.text) for passage in passages]
    return compose(talk.question, sources=sources, turns=talk.turns, system=talk.system, shots=shots)
