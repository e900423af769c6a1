"""Instruction-response pairs from JSONL, encoded once and kept as flat arrays."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hrm_model.template import END_ANSWER, spell
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import TRAINED_CONDITIONS, Condition, Question

UNTOLD, NO_EVIDENCE, EVIDENCE = -1, 0, 1
_BATCH = 4096  # lines read at a time, so that a file is never held as text


class BadPair(ValueError):
    """A line of training data that cannot be used; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of training data."""

    instruction: str
    response: str
    condition: tuple[Condition, ...]
    evidence: str | None = None  # the part of the instruction that the response rests on; "": nothing; None: not told


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """Pairs as token ids. Pair i is `ids[start[i]:start[i + 1]]`; its first `prefix[i]` ids are the prompt.

    `evidence` says of each id whether it is part of what the response rests on: EVIDENCE, NO_EVIDENCE, or UNTOLD, as
    ids of responses, control tokens and pairs without a word about it are.
    """

    ids: NDArray[np.int32]
    start: NDArray[np.int64]
    prefix: NDArray[np.int32]
    evidence: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.prefix)

    def length(self, index: int) -> int:
        """Tokens of pair `index`, prompt and response."""
        return int(self.start[index + 1] - self.start[index])

    def pair(self, index: int) -> NDArray[np.int32]:
        """The ids of pair `index`."""
        return self.ids[self.start[index] : self.start[index + 1]]

    def evidence_of(self, index: int) -> NDArray[np.int8]:
        """What is told of each id of pair `index`."""
        return self.evidence[self.start[index] : self.start[index + 1]]


def read_pairs(path: Path, *, with_evidence: bool = False) -> Iterator[Pair]:
    """Read JSONL lines with `instruction`, `response` and, if not direct, `condition` ("synth,cot" or a list).

    With evidence, a line may say what its response rests on: `evidence` stands in the instruction word for word, and
    is null where nothing there answers. Other keys are left to whoever wrote them.

    Raises:
        BadPair: a line is not UTF-8 or no JSON object, lacks a field, has an empty one or one that is no text, an
            untrained condition, or evidence that does not stand in its instruction.
    """
    with path.open("rb") as lines:  # bytes, so that a line that is not UTF-8 can be named
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _pair(line, f"{path}:{number}", with_evidence)


def _pair(line: bytes, where: str, with_evidence: bool) -> Pair:
    try:
        raw = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadPair(f"{where}: not UTF-8: {error}") from error
    except json.JSONDecodeError as error:
        raise BadPair(f"{where}: not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise BadPair(f"{where}: not a JSON object")
    for field in ("instruction", "response"):
        if not isinstance(raw.get(field), str) or not raw[field].strip():
            raise BadPair(f"{where}: {field} is missing, empty or no string")
        if not _is_text(raw[field]):
            raise BadPair(f"{where}: {field} holds half a surrogate pair, which is no character")
    stated = raw.get("condition", "direct")
    names = tuple(stated.split(",")) if isinstance(stated, str) else tuple(stated) if isinstance(stated, list) else ()
    condition = next((trained for trained in TRAINED_CONDITIONS if trained == names), None)
    if condition is None:
        raise BadPair(f"{where}: condition {stated!r} is none that HRM-Text is trained with")
    return Pair(raw["instruction"], raw["response"], condition, _evidence(raw, where) if with_evidence else None)


def _evidence(raw: dict[str, object], where: str) -> str | None:
    if "evidence" not in raw:
        return None
    stated = raw["evidence"]
    if stated is None:
        return ""
    if not isinstance(stated, str) or not stated.strip() or stated not in str(raw["instruction"]):
        raise BadPair(f"{where}: evidence {stated!r} is neither null nor a part of the instruction")
    return stated


def _is_text(value: str) -> bool:
    # JSON can escape one half of a surrogate pair; the tokenizer takes only what UTF-8 can spell.
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def encode_pairs(pairs: Iterator[Pair], tokenizer: Tokenizer, *, longest: int) -> tuple[EncodedPairs, int]:
    """Spell every pair; returns those of at most `longest` tokens, and how many were longer and left out."""
    end = tokenizer.control(END_ANSWER)
    ids: list[NDArray[np.int32]] = []
    told: list[NDArray[np.int8]] = []
    prefix: list[int] = []
    dropped = 0
    while batch := list(islice(pairs, _BATCH)):
        spelled = zip(batch, _prompts(batch, tokenizer), _answers(batch, tokenizer), strict=True)
        for pair, prompt, answer in spelled:
            if len(prompt) + len(answer) + 1 > longest:
                dropped += 1
                continue
            ids.append(np.array([*prompt, *answer, end], dtype=np.int32))
            told.append(_told(pair, ids[-1], tokenizer))
            prefix.append(len(prompt))
    start = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    flat = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
    evidence = np.concatenate(told) if told else np.zeros(0, dtype=np.int8)
    return EncodedPairs(flat, start, np.array(prefix, dtype=np.int32), evidence), dropped


def _told(pair: Pair, ids: NDArray[np.int32], tokenizer: Tokenizer) -> NDArray[np.int8]:
    """What the pair tells of each of its ids: a token is evidence if one of its characters is.

    Nothing, where the evidence stands several times in the instruction: it does not say which of them it is.
    """
    told = np.full(len(ids), UNTOLD, dtype=np.int8)
    text = pair.instruction.strip()
    if pair.evidence is None or (pair.evidence and text.count(pair.evidence.strip()) != 1):
        return told
    spelled, offsets = tokenizer.encode_with_offsets(text)
    first = 1 + len(pair.condition)  # behind the token that opens the question, and the condition's
    assert spelled == ids[first : first + len(spelled)].tolist(), "the prompt is spelled in another way"
    told[first : first + len(offsets)] = NO_EVIDENCE
    begin = text.index(pair.evidence.strip())
    end = begin + len(pair.evidence.strip())
    for place, (a, b) in enumerate(offsets, start=first):
        if a < end and begin < b:
            told[place] = EVIDENCE
    return told


def _prompts(batch: Sequence[Pair], tokenizer: Tokenizer) -> list[list[int]]:
    return [spell(Question(pair.instruction, pair.condition), tokenizer) for pair in batch]


def _answers(batch: Sequence[Pair], tokenizer: Tokenizer) -> list[list[int]]:
    return [tokenizer.encode(pair.response.strip()) for pair in batch]
