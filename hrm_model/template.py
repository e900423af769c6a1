"""How HRM-Text spells a prompt: one question block, control tokens by id, everything else plain text.

Standard library only: the server, the training data and the evaluation all spell their prompts here.
The bytes are pinned by tests/goldens/prompts.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hrm_model.errors import InvalidPrompt
from hrm_model.types import Condition, Question, is_trained

# SQuAD v2 as FLAN words it, which is how HRM-Text met reading comprehension in training.
READ_THE_PASSAGES = 'Please answer a question about this article. If the question is unanswerable, say "unanswerable".'
UNANSWERABLE = "unanswerable"

BEGIN_QUESTION = "<|im_start|>"
END_QUESTION = "<|im_end|>"
END_ANSWER = "<|box_end|>"
PAD = "<|endoftext|>"
CONDITION_TOKENS: Mapping[Condition, str] = {
    "direct": "<|object_ref_start|>",
    "cot": "<|object_ref_end|>",
    "noisy": "<|quad_start|>",
    "synth": "<|quad_end|>",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier message of the conversation."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A passage as the model reads it; an empty title is left out."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Shot:
    """A worked example: passages, a question, and the answer it should have had."""

    sources: tuple[Source, ...]
    question: str
    answer: str


class Encoder(Protocol):
    """The part of `hrm_model.tokenizer.Tokenizer` that spelling needs."""

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as plain text: nothing in it can become a control token."""
        ...

    def control(self, token: str) -> int:
        """The id of a control token."""
        ...


def compose(
    question: str,
    *,
    sources: Sequence[Source] = (),
    turns: Sequence[Turn] = (),
    system: str = "",
    shots: Sequence[Shot] = (),
) -> str:
    """Flatten a conversation and its passages into one instruction.

    The order is system text, worked examples, earlier turns, passages, question. HRM-Text is not tuned for
    multi-turn chat: closed assistant turns more than halve its scores, so user text stands verbatim and other
    roles as `role: text`, all inside one question block.
    """
    parts = [system.strip()] if system.strip() else []
    parts += [f"{_asked(shot.question, shot.sources)}\n{shot.answer}" for shot in shots]
    parts += [turn.text.strip() if turn.role == "user" else f"{turn.role}: {turn.text.strip()}" for turn in turns]
    parts.append(_asked(question, sources))
    return "\n\n".join(parts)


def spell(question: Question, encoder: Encoder) -> list[int]:
    """Spell a question as token ids, its closing token included.

    Raises:
        InvalidPrompt: the condition is not one of those that HRM-Text was trained with, or this checkpoint's
            tokenizer has no token for it.
    """
    if not is_trained(question.condition):
        raise InvalidPrompt(f"condition {','.join(question.condition)!r} does not occur in HRM-Text's training")
    try:
        condition = [encoder.control(CONDITION_TOKENS[name]) for name in question.condition]
    except KeyError as error:
        raise InvalidPrompt(
            f"condition {','.join(question.condition)!r}: this checkpoint has no token {error.args[0]}"
        ) from error
    return [
        encoder.control(BEGIN_QUESTION),
        *condition,
        *encoder.encode(question.text.strip()),
        encoder.control(END_QUESTION),
    ]


def _asked(question: str, sources: Sequence[Source]) -> str:
    if not sources:
        return question.strip()
    passages = [
        f"{source.title.strip()}:\n\n{source.text.strip()}" if source.title.strip() else source.text.strip()
        for source in sources
    ]
    return "\n\n".join([*passages, f"{READ_THE_PASSAGES} {question.strip()}"])
