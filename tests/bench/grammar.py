"""What keeping to a grammar costs: compiling, the mask of one token; and what drafts of what is forced are worth.

The greedy answer of a checkpoint to one question, one at a time; a mask is compared with the step that it belongs to.

    python -m tests.bench.grammar --model hrm_model/mini
"""

import argparse
import asyncio
import json
import statistics
import time
from contextlib import aclosing
from pathlib import Path

from hrm_model.engine import NativeEngine
from hrm_model.grammar import GrammarCompiler
from hrm_model.loading import DRAFT_TOKENS, load_engine
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.types import Finished, Grammar, JsonSchema, OneOf, Question, Regex, Sampling, Text

_PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "department": {"enum": ["claims", "underwriting", "customer service"]},
        "annual_leave_days": {"type": "integer", "minimum": 0, "maximum": 60},
    },
    "required": ["name", "department", "annual_leave_days"],
}
_GRAMMARS: dict[str, Grammar] = {
    "json schema": JsonSchema(json.dumps(_PERSON)),
    "any object": JsonSchema('{"type": "object"}'),
    "pattern": Regex(r"[A-Z]{2}-[0-9]{4}(, [A-Z]{2}-[0-9]{4}){0,3}"),
    "choice": OneOf(("within fourteen days", "within twenty-eight days", "never")),
}
_ASK = Question("Who leads the claims desk, and how many days of annual leave do they have?")


def compiling(compiler: GrammarCompiler, grammar: Grammar, rounds: int) -> float:
    """Milliseconds to compile, the trial included; the median."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        compiler.compiled(grammar)
        taken.append(time.perf_counter() - began)
    return 1e3 * statistics.median(taken)


def masking(compiler: GrammarCompiler, grammar: Grammar, ids: list[int]) -> float:
    """Microseconds for the mask of each token of an answer; the median."""
    (matching,), taken = compiler.compiled(grammar), []
    for token in ids:
        began = time.perf_counter()
        matching.allowed(())
        taken.append(time.perf_counter() - began)
        matching.accept(token)
    return 1e6 * statistics.median(taken)


async def answered(engine: NativeEngine, grammar: Grammar | None) -> tuple[str, int, float]:
    """The greedy answer, its tokens, and the seconds it took to write, the prompt's reading not counted."""
    text, tokens, seconds = "", 0, 0.0
    sampling = Sampling(max_tokens=64, grammar=grammar, ignore_eos=grammar is None)
    async with aclosing(engine.generate(_ASK, sampling)) as events:
        async for event in events:
            if isinstance(event, Text):
                text += event.text
            elif isinstance(event, Finished):
                tokens, seconds = event.counts.completion_tokens, event.seconds.decode
    return text, tokens, seconds


def measured(
    plain: NativeEngine, drafting: NativeEngine, tokenizer: Tokenizer, name: str, rounds: int
) -> dict[str, float]:
    """One row of the table."""
    grammar, compiler = _GRAMMARS[name], GrammarCompiler(tokenizer)
    slow, fast = [], []
    for _ in range(rounds):
        text, tokens, seconds = asyncio.run(answered(plain, grammar))
        again, _, drafted = asyncio.run(answered(drafting, grammar))
        assert text == again, f"drafts have changed an answer: {text!r}, {again!r}"
        slow.append(seconds)
        fast.append(drafted)
    return {
        "compile_ms": round(compiling(compiler, grammar, rounds), 2),
        "mask_us": round(masking(compiler, grammar, tokenizer.encode(text)), 1),
        "step_us": round(1e6 * statistics.median(slow) / max(1, tokens - 1), 1),
        "times_faster": round(statistics.median(slow) / max(1e-9, statistics.median(fast)), 2),
        "tokens": tokens,
    }


def main() -> None:
    """Print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("hrm_model/mini"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(arguments.model)
    plain, drafting = (load_engine(arguments.model, draft_tokens=draft) for draft in (0, DRAFT_TOKENS))
    for engine in (plain, drafting):
        engine.start()
        asyncio.run(answered(engine, _GRAMMARS["choice"]))  # warm
    rows = {name: measured(plain, drafting, tokenizer, name, arguments.rounds) for name in _GRAMMARS}
    print(f"{'grammar':14}{'compiled, ms':>14}{'mask, us':>10}{'step, us':>10}{'with drafts':>13}{'tokens':>8}")
    for name, row in rows.items():
        print(
            f"{name:14}{row['compile_ms']:14}{row['mask_us']:10}{row['step_us']:10}{row['times_faster']:12}x{row['tokens']:8}"
        )
    print(json.dumps({"model": arguments.model.name, "rounds": arguments.rounds, **rows}))
    for engine in (plain, drafting):
        engine.close()


if __name__ == "__main__":
    main()
