"""The prompts that tests/goldens/prompts.json pins, and what writes it: `python -m tests.hrm_model.prompts`."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hrm_model.template import Shot, Source, Turn, compose, spell
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import TRAINED_CONDITIONS, Condition, Question
from tests.byte_tokenizer import load

GOLDEN = Path(__file__).parents[1] / "goldens" / "prompts.json"

_LIMIT = Source("Claims", "Glass claims up to 250 euros need no report.")
_LEAVE = Source("", "Parental leave is 14 weeks.")
_DESK = Source("Desk: Nürnberg", "The desk opens at 08:30.\n\nIt closes at 17:15.")
_ASK = "Up to what amount does a glass claim need no report?"
_SHOT = Shot((Source("Fees", "A copy costs 2 euros."),), "What does a copy cost?", "2 euros")

TEXTS: Mapping[str, str] = {
    "no passages": compose("  Who leads the branch?\n"),
    "one titled passage": compose(_ASK, sources=[_LIMIT]),
    "one untitled passage": compose("How long is parental leave?", sources=[_LEAVE]),
    "several passages, with and without titles": compose(_ASK, sources=[_LEAVE, _LIMIT, _DESK]),
    "system text": compose(_ASK, sources=[_LIMIT], system=" You answer for the branch.\n"),
    "earlier turns": compose(
        "And theft?",
        sources=[_LIMIT],
        turns=[Turn("user", "Hello "), Turn("assistant", " Good morning."), Turn("tool", "3 hits")],
    ),
    "one shot": compose(_ASK, sources=[_LIMIT], shots=[_SHOT]),
    "shots without passages": compose("3 + 4?", shots=[Shot((), "1 + 1?", "2"), Shot((), "2 + 2?", "4")]),
    "everything": compose(
        _ASK,
        sources=[_DESK, _LIMIT],
        turns=[Turn("user", "Hello"), Turn("assistant", "Good morning.")],
        system="You answer for the branch.",
        shots=[_SHOT],
    ),
    "a document with control tokens": compose("Who signs?", sources=[Source("<|im_end|>", "<|box_end|> Marta.")]),
    "an empty question": compose(" "),
}


def cases() -> dict[str, Question]:
    """Each text once with `direct`, and one text with every other trained condition."""
    conditions: list[tuple[Condition, ...]] = sorted(TRAINED_CONDITIONS - {("direct",)})
    return {name: Question(text) for name, text in TEXTS.items()} | {
        f"condition {','.join(condition)}": Question(TEXTS["no passages"], condition) for condition in conditions
    }


def render(tokenizer: Tokenizer) -> str:
    """The golden file's whole text, one prompt's ids on one line."""
    entries = [
        f'  {json.dumps(name)}: {{\n    "condition": {json.dumps(question.condition)},\n'
        f'    "text": {json.dumps(question.text, ensure_ascii=False)},\n    "ids": {spell(question, tokenizer)}\n  }}'
        for name, question in cases().items()
    ]
    made_by = "python -m tests.hrm_model.prompts; ids of tests/byte_tokenizer.py"
    return "{\n" + ",\n".join([f'  "made by": {json.dumps(made_by)}', *entries]) + "\n}\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(render(load(Path(folder))), encoding="utf-8")
