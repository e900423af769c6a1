"""What an answer has to keep to, compiled by llguidance: a grammar in, the beginnings of its answers out.

A mask is a function of the grammar and of the answer so far, never of a batch, a draft, another choice or a draw.
"""

import asyncio
from collections.abc import Sequence

from hrm_model.endings import Vocabulary
from hrm_model.errors import InvalidGrammar
from hrm_model.grammar_lane import GrammarLane, LaneTokens
from hrm_model.grammar_matching import Matching
from hrm_model.grammar_trial import COMPILE_S, TOO_LONG, shared_trial
from hrm_model.grammar_turns import Turns
from hrm_model.spans import SpanMatching, span_matchings
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import Grammar, SpanOf

QUICK_S = 0.5  # within which nearly every grammar is compiled; the others wait for each other alone


class GrammarCompiler:
    """Makes matchers for one tokenizer, in two lanes: what is not done soon is begun again among its like, so that
    who has a small grammar waits for a moment of each one before it, and not for all that it takes."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        max_waiting: int = 64,
        max_each: int = 32,
        compile_s: float = COMPILE_S,
        quick_s: float = QUICK_S,
    ) -> None:
        """Begin with nothing; the tokenizer is read at the first grammar.

        Args:
            max_waiting: grammars in the hands of a lane; it takes most of them in some milliseconds.
            max_each: of those, how many of one partition.
            compile_s: what one of them may take, for all its choices together.
            quick_s: what it may take before it has to wait for others that are slow, too.
        """
        tokens = LaneTokens(tokenizer)
        self._words = Vocabulary(tokenizer)
        self._quick, self._slow = (
            GrammarLane(self._words, tokens, Turns(max_waiting, max_each), shared_trial(name), seconds)
            for name, seconds in (("quick", min(quick_s, compile_s)), ("slow", compile_s))
        )

    async def compile(
        self, grammar: Grammar | SpanOf, choices: int = 1, partition: str | None = None
    ) -> Sequence[Matching | SpanMatching]:
        """Read a grammar that so many answers have to keep to, each for itself.

        Prompts that bring the same object at the same time have it tried out once. Partitions take turns. Spans need
        no compiler, and wait for nobody.

        Args:
            partition: whose it is.

        Raises:
            InvalidGrammar: it is broken, too large, takes too long, or asks for what cannot be kept.
            EngineOverloaded: too many wait for the compiler.
            EngineClosed: after `close`.
            EngineError: the process that tries grammars out did not start.
        """
        if isinstance(grammar, SpanOf):
            return await asyncio.to_thread(span_matchings, grammar, choices, self._words)
        try:
            return await self._quick.compile(grammar, choices, partition)
        except InvalidGrammar as error:
            if error.problem != TOO_LONG:
                raise
        return await self._slow.compile(grammar, choices, partition)

    def compiled(self, grammar: Grammar, choices: int = 1) -> list[Matching]:
        """The same, at once, on the calling thread, whose stack has to be large enough."""
        return self._slow.compiled(grammar, choices)

    def close(self) -> None:
        """Let the threads go, and who waits for them."""
        self._quick.close()
        self._slow.close()
