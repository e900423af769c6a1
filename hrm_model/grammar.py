"""Which tokens may come next where an answer has to keep to a grammar; llguidance says so.

A mask is a function of the grammar and of the answer so far, never of a batch, a draft or a draw.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from hrm_model.endings import Allowed, JsonPlace, Mask, Vocabulary
from hrm_model.errors import EngineClosed, EngineOverloaded, GrammarFault, InvalidGrammar
from hrm_model.grammar_trial import COMPILE_S, LIMITS, STACK_BYTES, Trial, shared_trial
from hrm_model.schema import check_schema, place_of
from hrm_model.template import END_ANSWER
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import FunctionCall, Grammar, JsonSchema, Lark, OneOf, Regex

MAX_TEXT_BYTES = 16 * 1024  # of a regular expression or a Lark grammar
MAX_OPTIONS = 1024
MAX_OPTIONS_BYTES = 64 * 1024
# JSON as it is written in one line: a space is allowed after a colon or a comma, and nowhere else, so that
# an answer cannot go on with white space for ever.
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
# Strings, regular expressions and comments of Lark, in which `<` means itself.
_LARK_WORDS = re.compile(r'"(?:\\.|[^"\\\n])*"|/(?:\\.|[^/\\\n])+/|(?://|\#)[^\n]*|(?P<token><)')
_COMPLETE = ("NoExtension", "NoExtensionBias", "EndOfSentence")
_NO_TEXT = "it allows no text at all"


class Matching:
    """One answer's place in its grammar."""

    def __init__(self, matcher: LLMatcher, words: Vocabulary, place: JsonPlace | None) -> None:
        """Begin at the grammar's start.

        Args:
            words: no grammar reaches others than its ordinary tokens.
            place: where JSON begins; None: the answer is none.
        """
        self._matcher, self._words, self._place = matcher, words, place

    def copy(self) -> "Matching":
        """Another answer at the same place."""
        return Matching(self._matcher.deep_copy(), self._words, self._place)

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the closing token may follow."""
        return not self._matcher.is_error() and self._matcher.stop_reason() in _COMPLETE

    @property
    def fault(self) -> GrammarFault | None:
        """Why no token may follow, where that is so."""
        if self._matcher.is_error():
            return GrammarFault(f"the grammar could not be followed: {_said(self._matcher.get_error())}")
        reason = self._matcher.stop_reason()
        if reason == "NotStopped" or reason in _COMPLETE:
            return None
        return GrammarFault(f"the grammar could not be followed: {reason}")

    def accept(self, token: int) -> None:
        """Take note of the answer's next token."""
        self._matcher.consume_token(token)
        self._place = self._after(self._place, token)

    def allowed(self, draft: Sequence[int]) -> list[Allowed | None]:
        """What may come next, and what after each token of a draft.

        Returns:
            One more than the draft is long; None after a token that may not stand where it does. No token at all may
            follow where the work for one token has exceeded its limit: `fault` has the reason.
        """
        place = self._place
        here = self._here(place)
        found: list[Allowed | None] = [here]
        for token in draft:
            if not here.open[token] or self.is_complete or not self._matcher.consume_token(token):
                break
            place = self._after(place, token)
            here = self._here(place)
            found.append(here)
        if len(found) > 1:
            self._matcher.rollback(len(found) - 1)
        return found + [None] * (len(draft) + 1 - len(found))

    def fitting(self, draft: Sequence[int]) -> list[int]:
        """The beginning of a draft that the grammar allows."""
        return list(draft[: self._matcher.validate_tokens(list(draft))])

    def forced(self, most: int) -> list[int]:
        """At most so many tokens that spell what has to follow, as the tokenizer would; often none."""
        tokens: list[int] = self._matcher.compute_ff_tokens()
        return self.fitting(tokens[:most])

    def _here(self, place: JsonPlace | None) -> Allowed:
        ordinary = self._words.ordinary
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        # After an error the library allows the closing token, and a broken answer would look like a whole one.
        if self.fault is not None:
            return Allowed(np.zeros_like(ordinary), self._words.end)
        mask: Mask = np.unpackbits(bits, bitorder="little", count=len(ordinary)).view(np.bool_) & ordinary
        return Allowed(mask, self._words.end) if place is None else place.allowed(mask, self._words)

    def _after(self, place: JsonPlace | None, token: int) -> JsonPlace | None:
        return place.after(self._words.spelled(token)) if place is not None else None


class GrammarCompiler:
    """Makes matchers for one tokenizer, in a thread of its own. Nothing is kept: a cache would tell by its speed
    what another caller has asked for."""

    def __init__(self, tokenizer: Tokenizer, *, max_waiting: int = 64, compile_s: float = COMPILE_S) -> None:
        """Begin with nothing; the tokenizer is read at the first grammar.

        Args:
            max_waiting: grammars in the compiler's hands; it takes most of them in some milliseconds.
            compile_s: what one of them may take.
        """
        self._max_waiting, self._compile_s = max_waiting, compile_s
        self._tokenizer = tokenizer
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hrm-grammar")
        self._compiling = 0
        self._tokens: LLTokenizer | None = None
        self._words = Vocabulary(tokenizer)
        self._trial: Trial = shared_trial()
        self._deadline = 0.0

    async def compile(self, grammar: Grammar) -> Matching:
        """Read a grammar.

        Raises:
            InvalidGrammar: it is broken, too large, or asks for what cannot be kept.
            EngineOverloaded: too many wait for the compiler.
            EngineClosed: after `close`.
        """
        if self._compiling >= self._max_waiting:
            raise EngineOverloaded(self._compiling, self._max_waiting)
        usual = threading.stack_size(STACK_BYTES)  # for the thread that the first call starts
        try:
            compiling = self._worker.submit(self.compiled, grammar)
        except RuntimeError as error:
            raise EngineClosed("the engine is shutting down") from error
        finally:
            threading.stack_size(usual)
        self._compiling += 1
        try:
            return await asyncio.wrap_future(compiling)
        finally:
            self._compiling -= 1

    def compiled(self, grammar: Grammar) -> Matching:
        """The same, at once, on the calling thread, whose stack has to be large enough."""
        self._trial.start()
        self._deadline = time.monotonic() + self._compile_s
        match grammar:
            case JsonSchema(text):
                schema = check_schema(text)
                problem = self._problem(schema)
                if problem:
                    raise InvalidGrammar(place_of(schema, problem, self._problem_in_time), problem)
                source = LLMatcher.grammar_from_json_schema(_laid_out(schema))
            case Regex(pattern):
                _check_size("the pattern", pattern)
                source = LLMatcher.grammar_from_regex(pattern)
            case OneOf(options):
                source = _one_of(options)
            case Lark(text):
                _check_size("the grammar", text)
                _check_controls(text)
                source = LLMatcher.grammar_from_lark(text)
            case FunctionCall(functions):
                source = self._call_of(functions)
        if not isinstance(grammar, JsonSchema) and (problem := self._problem_of(source)):
            raise InvalidGrammar("", problem)
        matcher = self._matcher(source)
        place = JsonPlace(has_begun=isinstance(grammar, JsonSchema))
        matching = Matching(matcher, self._words, place if isinstance(grammar, JsonSchema | FunctionCall) else None)
        if not any(here is not None and here.open.any() for here in matching.allowed(())):
            fault = matching.fault
            raise InvalidGrammar("", _said(matcher.get_error()) if fault else _NO_TEXT)
        return matching

    def close(self) -> None:
        """Let the thread go."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _matcher(self, source: str) -> LLMatcher:
        if self._tokens is None:
            self._tokens = _tokens(self._tokenizer)
        return LLMatcher(self._tokens, source, log_level=0, limits=LIMITS)

    def _problem(self, schema: dict[str, Any]) -> str:
        try:
            problem = self._problem_of(LLMatcher.grammar_from_json_schema(_laid_out(schema)))
        except ValueError as error:
            return _said(str(error))
        # Whatever else contradicts itself in a schema has a name of its own.
        return f"its '$ref' leads back to itself, so {_NO_TEXT}" if problem == _NO_TEXT else problem

    def _problem_in_time(self, schema: dict[str, Any]) -> str:
        """The same for a part; past the deadline all would have the same problem, that they were not tried."""
        return "" if time.monotonic() >= self._deadline else self._problem(schema)

    def _problem_of(self, source: str) -> str:
        problem = _said(self._trial.problem(source, self._deadline))
        # The library's report is then only why it has stopped, before anything was said.
        return _NO_TEXT if problem in _COMPLETE else problem

    def _call_of(self, functions: Sequence[tuple[str, str]]) -> str:
        rules = []
        for number, (name, text) in enumerate(functions):
            try:
                schema = check_schema(text)
                problem = self._problem(schema)
                if problem:
                    raise InvalidGrammar(place_of(schema, problem, self._problem_in_time), problem)
            except InvalidGrammar as error:
                raise InvalidGrammar(f"[{number}].{error.place}".rstrip("."), error.problem) from error
            rules.append(f"call{number}: {json.dumps(name + chr(10))} %json {json.dumps(_laid_out(schema))}")
        starts = " | ".join(f"call{number}" for number in range(len(functions)))
        return "\n".join([f"start: {starts}", *rules])


def _laid_out(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "x-guidance": _LAYOUT}


def _one_of(options: Sequence[str]) -> str:
    if not options or "" in options:
        raise InvalidGrammar("", "there must be options, none of them empty")
    if len(options) > MAX_OPTIONS:
        raise InvalidGrammar("", f"{len(options)} options; at most {MAX_OPTIONS} are taken")
    _check_size("the options together", "".join(options), MAX_OPTIONS_BYTES)
    return "start: " + " | ".join(map(json.dumps, dict.fromkeys(options)))


def _check_size(what: str, text: str, limit: int = MAX_TEXT_BYTES) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidGrammar("", "it contains half a surrogate pair") from error
    if size > limit:
        raise InvalidGrammar("", f"{what} may have {limit} bytes, not {size}")


def _check_controls(text: str) -> None:
    """Refuse tokens named by id or by their control name; they are no text, and the model's own."""
    for found in _LARK_WORDS.finditer(text):
        if found["token"]:
            line = text.count("\n", 0, found.start()) + 1
            raise InvalidGrammar("", f"line {line}: tokens cannot be named, only texts")


def _said(error: str) -> str:
    """The sentence of a report over several lines that says what is wrong."""
    lines = [line.strip() for line in error.splitlines()]
    found = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), next(iter(lines), ""))
    return found[:300]


class _Words:
    """A tokenizer as llguidance wants to see it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.eos_token_id = tokenizer.control(END_ANSWER)
        self.bos_token_id = None
        self.tokens = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
        self.special_token_ids = [token for token, spelled in enumerate(self.tokens) if not spelled]
        self._tokenizer = tokenizer

    def __call__(self, text: str) -> list[int]:
        return self._tokenizer.encode(text)


def _tokens(tokenizer: Tokenizer) -> LLTokenizer:
    words = _Words(tokenizer)
    return LLTokenizer(TokenizerWrapper(words), n_vocab=len(words.tokens), eos_token=words.eos_token_id)
