"""One line of grammars before one thread and one process that tries them out, each within a time."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from hrm_model.endings import JsonPlace, Vocabulary
from hrm_model.errors import EngineClosed, InvalidGrammar
from hrm_model.grammar_matching import COMPLETE, Matching, said
from hrm_model.grammar_trial import LIMITS, STACK_BYTES, TOO_LONG, Trial
from hrm_model.grammar_turns import Reading, Turns
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
_NO_TEXT = "it allows no text at all"


class GrammarLane:
    """Makes matchers, one grammar at a time. Nothing is kept: a cache would tell by its speed what another caller has
    asked for."""

    def __init__(self, words: Vocabulary, tokens: "LaneTokens", turns: Turns, trial: Trial, compile_s: float) -> None:
        """Begin with nothing.

        Args:
            tokens: shared with other lanes.
            turns: the lane's own.
            trial: the lane's own.
            compile_s: what one grammar may take, for all its choices together.
        """
        self._words, self._tokens, self._turns, self._trial, self._compile_s = words, tokens, turns, trial, compile_s
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="hrm-grammar")
        self._deadline = 0.0

    async def compile(self, grammar: Grammar, choices: int, partition: str | None) -> Sequence[Matching]:
        """Read a grammar when its turn has come; see `GrammarCompiler.compile`."""
        asked = self._turns.join(grammar, choices, partition)
        usual = threading.stack_size(STACK_BYTES)  # for the thread that the first call starts
        try:
            self._worker.submit(self._take_turn)
        except RuntimeError as error:
            self._turns.leave(asked)
            raise EngineClosed("the engine is shutting down") from error
        finally:
            threading.stack_size(usual)
        waiting = asyncio.wrap_future(asked.done)
        try:
            await asyncio.wait((waiting,))
        finally:
            waiting.cancel()  # it has not ended only where nobody waits for it any more
            self._turns.leave(asked)
        if waiting.cancelled():
            raise EngineClosed("the engine is shutting down")
        return waiting.result()

    def compiled(self, grammar: Grammar, choices: int) -> list[Matching]:
        """The same, at once, on the calling thread, whose stack has to be large enough."""
        return self._matchings(Reading(grammar, None), choices)

    def _take_turn(self) -> None:
        """Compile for whoever is next: one turn was asked for by each who joined, and some have left."""
        asked = self._turns.next()
        if asked is None or not asked.done.set_running_or_notify_cancel():
            return
        try:
            asked.done.set_result(self._matchings(asked.reading, asked.choices))
        except InvalidGrammar as error:
            asked.reading.fault = error  # the other prompts of the request need not find it too
            asked.done.set_exception(error)
        except BaseException as error:
            asked.done.set_exception(error)
            raise

    def _matchings(self, reading: Reading, choices: int) -> list[Matching]:
        self._trial.start()
        self._deadline = time.monotonic() + self._compile_s
        source = self._source(reading)
        is_json = isinstance(reading.grammar, JsonSchema | FunctionCall)
        place = JsonPlace(has_begun=isinstance(reading.grammar, JsonSchema)) if is_json else None
        scout, matchings = self._matcher(source), list[Matching]()
        while len(matchings) < choices:
            if matchings and time.monotonic() >= self._deadline:
                raise InvalidGrammar("", TOO_LONG)
            matchings.append(Matching(self._matcher(source), scout.deep_copy(), self._words, place))
        if not any(here is not None and here.open.any() for here in matchings[0].allowed(())):
            raise InvalidGrammar("", str(matchings[0].fault or _NO_TEXT))
        return matchings

    def _source(self, reading: Reading) -> str:
        """The grammar as the library takes it."""
        if reading.fault is not None:
            raise InvalidGrammar(reading.fault.place, reading.fault.problem)
        if reading.source is None:
            reading.source = self._tried(reading.grammar)
        return reading.source

    def _tried(self, grammar: Grammar) -> str:
        match grammar:
            case JsonSchema(text):
                schema = check_schema(text)
                problem = self._problem(schema)
                if problem:
                    raise InvalidGrammar(place_of(schema, problem, self._problem_in_time), problem)
                return LLMatcher.grammar_from_json_schema(_laid_out(schema))
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
        if problem := self._problem_of(source):
            raise InvalidGrammar("", problem)
        return source

    def close(self) -> None:
        """Let the thread go, and who waits for it."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        while (asked := self._turns.next()) is not None:
            asked.done.cancel()

    def _matcher(self, source: str) -> LLMatcher:
        return LLMatcher(self._tokens(), source, log_level=0, limits=LIMITS)

    def _problem(self, schema: dict[str, Any]) -> str:
        try:
            problem = self._problem_of(LLMatcher.grammar_from_json_schema(_laid_out(schema)))
        except ValueError as error:
            return said(str(error))
        # Whatever else contradicts itself in a schema has a name of its own.
        return f"its '$ref' leads back to itself, so {_NO_TEXT}" if problem == _NO_TEXT else problem

    def _problem_in_time(self, schema: dict[str, Any]) -> str:
        """The same for a part; past the deadline all would have the same problem, that they were not tried."""
        return "" if time.monotonic() >= self._deadline else self._problem(schema)

    def _problem_of(self, source: str) -> str:
        problem = said(self._trial.problem(source, self._deadline))
        # The library's report is then only why it has stopped, before anything was said.
        return _NO_TEXT if problem in COMPLETE else problem

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


class LaneTokens:
    """The tokenizer as llguidance takes it, made when it is first needed, by whichever thread that is."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._made: LLTokenizer | None = None
        self._lock = threading.Lock()

    def __call__(self) -> LLTokenizer:
        with self._lock:
            if self._made is None:
                words = _Words(self._tokenizer)
                self._made = LLTokenizer(
                    TokenizerWrapper(words), n_vocab=len(words.tokens), eos_token=words.eos_token_id
                )
            return self._made
