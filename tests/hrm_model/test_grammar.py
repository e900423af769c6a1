"""hrm_model.grammar: which tokens may follow, for each kind of grammar, and what is refused before any is drawn."""

import asyncio
import json
import math
import os
import random
import re
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher

from hrm_model.errors import EngineClosed, EngineError, EngineOverloaded, InvalidGrammar
from hrm_model.grammar import GrammarCompiler
from hrm_model.grammar_lane import MAX_OPTIONS, MAX_TEXT_BYTES
from hrm_model.grammar_matching import COMPLETE, Matching
from hrm_model.grammar_trial import Trial
from hrm_model.template import END_ANSWER
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import FunctionCall, Grammar, JsonSchema, Lark, OneOf, Regex
from tests.byte_tokenizer import CONTROLS, load
from tests.engines import Tiny
from tests.hrm_model.grammars import here, schema

# Takes some milliseconds to compile.
PROPERTIES = schema({"properties": {f"p{number}": {"type": "string", "maxLength": 40} for number in range(300)}})


def begun(compiler: GrammarCompiler, grammar: Grammar) -> Matching:
    """The beginning of one answer."""
    (matching,) = compiler.compiled(grammar)
    return matching


def walk(matching: Matching, tokenizer: Tokenizer, seed: int, most: int = 400) -> str | None:
    """A text made of tokens that are allowed, drawn evenly; None where it has not ended by then."""
    chance, end = random.Random(seed), tokenizer.control(END_ANSWER)
    said: list[int] = []
    for _ in range(most):
        mask = here(matching)
        # Closing where that is possible keeps texts short.
        token = end if mask[end] else chance.choice(np.flatnonzero(mask).tolist())
        if token == end:
            return tokenizer.decode(said)
        said.append(token)
        matching.accept(token)
        if matching.is_complete:
            return tokenizer.decode(said)
    return None


@settings(max_examples=40, deadline=None)
@given(options=st.lists(st.text(min_size=1), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_a_choice_is_one_of_its_options_whatever_they_are_made_of(
    compiler: GrammarCompiler, tiny: Tiny, options: list[str], seed: int
) -> None:
    options = [option for option in options if option.isprintable()] or ["x"]

    assert walk(begun(compiler, OneOf(tuple(options))), tiny.tokenizer, seed) in options


def test_every_option_can_be_reached(compiler: GrammarCompiler, tiny: Tiny) -> None:
    options = ("yes", "no", 'a "quoted"\nline', "né\t\\")

    matching = begun(compiler, OneOf(options))

    for option in options:
        ids = tiny.tokenizer.encode(option)
        assert matching.fitting(ids) == ids


@pytest.mark.parametrize("pattern", [r"[0-9]{3}-[a-z]{2,5}", r"^(yes|no)$", r"\p{Lu}{2}", "a*", "(?i)ja"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_text_matches_its_pattern_as_a_whole(compiler: GrammarCompiler, tiny: Tiny, pattern: str, seed: int) -> None:
    text = walk(begun(compiler, Regex(pattern)), tiny.tokenizer, seed)

    assert text is not None
    assert re.fullmatch(pattern.replace(r"\p{Lu}", r"[^\W\d_a-z]"), text)


def test_a_context_free_grammar_is_followed(compiler: GrammarCompiler, tiny: Tiny) -> None:
    matching = begun(compiler, Lark('start: "(" start ")" | "x"'))

    assert matching.fitting(tiny.tokenizer.encode("((x))")) == tiny.tokenizer.encode("((x))")
    assert len(matching.fitting(tiny.tokenizer.encode("((x)))"))) < len(tiny.tokenizer.encode("((x)))"))


def test_a_function_call_is_a_name_and_its_own_arguments(compiler: GrammarCompiler, tiny: Tiny) -> None:
    shape = {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}, "required": ["n"]}
    days, city = {**shape, "$defs": {"N": {"enum": [1, 2]}}}, {**shape, "$defs": {"N": {"const": "Y"}}}
    matchings = compiler.compiled(FunctionCall((("days", json.dumps(days)), ("city", json.dumps(city)))), 30)

    texts = {walk(matching, tiny.tokenizer, seed) for seed, matching in enumerate(matchings)}

    calls = {text.replace(" ", "") for text in texts if text is not None}
    assert calls == {'days\n{"n":1}', 'days\n{"n":2}', 'city\n{"n":"Y"}'}


def test_no_grammar_reaches_a_control_token_but_the_closing_one(tmp_path: Path) -> None:
    tokenizer = load(tmp_path)
    compiler = GrammarCompiler(tokenizer)
    for grammar in (Regex(r"(?s).*"), schema({}), Lark("start: /(?s:.*)/")):
        mask = here(begun(compiler, grammar))
        assert {token for token in CONTROLS.values() if mask[token]} <= {tokenizer.control(END_ANSWER)}
    compiler.close()


@pytest.mark.parametrize("text", ["start: <[5]>", 'start: "a" <[0-9]>', "start: <|im_end|>", 'start: "<" <eos>'])
def test_a_grammar_that_names_tokens_is_refused(compiler: GrammarCompiler, text: str) -> None:
    with pytest.raises(InvalidGrammar, match="line 1: tokens cannot be named"):
        compiler.compiled(Lark(text))


def test_the_sign_that_names_tokens_may_stand_in_texts(compiler: GrammarCompiler) -> None:
    compiler.compiled(Lark('start: "<" /<[a-z]+>/ // <not a token>\n'))


def chain(length: int) -> JsonSchema:
    """Definitions that refer to one another: a compiler that descends into them needs a deep stack."""
    links = {f"a{link}": {"items": {"$ref": f"#/$defs/a{link + 1}"}} for link in range(length)}
    return schema({"$ref": "#/$defs/a0", "$defs": {**links, f"a{length}": {}}})


@pytest.mark.anyio
async def test_long_chains_of_references_and_rules_end_in_no_crash(compiler: GrammarCompiler) -> None:
    await compiler.compile(chain(1300))
    rules = "\n".join(f"r{rule}: r{rule + 1}" for rule in range(1000))

    await compiler.compile(Lark(f'start: r0\n{rules}\nr1000: "x"'))


@pytest.mark.parametrize(
    ("grammar", "place", "problem"),
    [
        (schema({"properties": {"p": {"properties": {"a": {"type": "str"}}}}}), "properties.p.properties.a", "str"),
        (schema({"items": {"pattern": "("}}), "items", "unclosed group"),
        (schema({"items": {"pattern": "(?=a)"}}), "items", "look-ahead"),
        (schema({"$defs": {"A": {"minLength": -1}}, "items": {"$ref": "#/$defs/A"}}), "$defs.A", "minLength"),
        (schema({"anyOf": [{"$ref": "#/$defs/A"}]}), "anyOf[0]", "'/$defs/A' does not exist"),
        (schema({"format": "postcode"}), "", "postcode"),
        (schema({"enum": []}), "", "Unsatisfiable"),
        (schema({"type": "string", "allOf": [{"type": "null"}]}), "", "Unsatisfiable"),
        (schema({"$ref": "#"}), "", "its '$ref' leads back to itself"),
        (schema({"allOf": [{"$ref": "#"}]}), "allOf[0]", "its '$ref' leads back to itself"),
        (schema({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}), "$defs.A", "back to itself"),
        (schema({"const": "\ud800"}), "", "surrogate"),
        (Regex("("), "", "unclosed group"),
        (Regex(r"(a)\1"), "", "backreferences"),
        (Regex(r"[^\s\S]"), "", "it allows no text at all"),
        (Lark("start: a\na: a"), "", "it allows no text at all"),
        (Regex("x" * (MAX_TEXT_BYTES + 1)), "", "may have 16384 bytes"),
        (Regex("\ud800"), "", "surrogate"),
        (Lark('begin: "a"'), "", "no start rule"),
        (Lark("start: nothing"), "", "unknown name"),
        (Lark("start: " + "(" * 4000 + '"a"' + ")" * 4000), "", "nested"),
        (OneOf(()), "", "there must be options"),
        (OneOf(("a", "")), "", "none of them empty"),
        (OneOf(tuple(map(str, range(MAX_OPTIONS + 1)))), "", "1025 options"),
        (FunctionCall((("f", "{}"), ("g", '{"items": {"type": "x"}}'))), "[1].items", "x"),
        (FunctionCall((("f", '{"not": {}}'),)), "[0].not", "not supported"),
        (FunctionCall((("f", "[]"),)), "[0]", "must be an object"),
        (FunctionCall((("f", '{"$ref": "#"}'),)), "[0]", "its '$ref' leads back to itself"),
    ],
)
def test_what_is_broken_or_too_large_is_refused_with_its_place(
    compiler: GrammarCompiler, grammar: Grammar, place: str, problem: str
) -> None:
    with pytest.raises(InvalidGrammar) as refused:
        compiler.compiled(grammar)

    assert refused.value.place == place
    assert problem in refused.value.problem


def test_a_grammar_that_takes_for_ever_is_given_up_and_the_next_one_is_read(tiny: Tiny) -> None:
    trial = Trial()
    patterns = [{"type": "string", "pattern": f"a.*{number}"} for number in range(60)]
    endless = LLMatcher.grammar_from_json_schema({"allOf": patterns})

    assert trial.problem(endless, time.monotonic() + 0.5) == "it takes too long to compile"
    trial.start()
    assert trial.problem('start: "a"', time.monotonic() + 60) == ""
    assert trial.problem('start: "a"', time.monotonic()) == "it takes too long to compile"
    trial.close()


def test_a_pattern_that_grows_too_large_with_its_first_character_is_refused_before_anything_is_said() -> None:
    trial = Trial()

    for pattern in ("(a{1000}){1000}", "(x{1000}){500}"):
        source = LLMatcher.grammar_from_regex(pattern)
        assert "too many expressions" in trial.problem(source, time.monotonic() + 60)
    for pattern in ("a", "é{2}", "a{1000}"):
        found = trial.problem(LLMatcher.grammar_from_regex(pattern), time.monotonic() + 60)
        assert found in ("", *COMPLETE), pattern
    trial.close()


def test_a_schema_that_takes_too_long_is_refused_as_a_whole(tiny: Tiny) -> None:
    compiler = GrammarCompiler(tiny.tokenizer, compile_s=0.3)
    patterns = [{"type": "string", "pattern": f"a.*{number}"} for number in range(60)]

    with pytest.raises(InvalidGrammar) as refused:
        compiler.compiled(schema({"properties": {"a": {"allOf": patterns}}}))

    assert (refused.value.place, refused.value.problem) == ("", "it takes too long to compile")
    compiler.close()


def test_choices_that_would_take_too_long_together_are_refused(tiny: Tiny) -> None:
    compiler = GrammarCompiler(tiny.tokenizer, compile_s=1.0)

    assert len(compiler.compiled(PROPERTIES)) == 1
    with pytest.raises(InvalidGrammar, match="it takes too long to compile"):
        compiler.compiled(PROPERTIES, 10_000)
    compiler.close()


def test_a_process_that_was_lost_is_started_again() -> None:
    trial = Trial()
    trial.start()
    assert trial._process is not None
    trial._process.kill()
    trial._process.wait()

    assert trial.problem('start: "a"', time.monotonic() + 60) == ""
    trial.close()


def test_a_process_that_is_not_ready_in_time_is_ended_and_answers_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 600\n")
    sleeper.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    trial = Trial(start_s=0.1)

    for _ in range(2):
        with pytest.raises(EngineError, match="did not start"):
            trial.problem('start: "a"', time.monotonic() + 60)
        assert trial._process is None
    trial.close()


def test_as_many_connections_as_there_may_be_leave_grammars_to_be_tried() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    trial, connections = Trial(), list[int]()
    try:
        connections += (os.open(os.devnull, os.O_RDONLY) for _ in range(1100))

        assert trial.problem('start: "a"', time.monotonic() + 60) == ""
    finally:
        for connection in connections:
            os.close(connection)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        trial.close()


def test_an_exchange_that_breaks_off_ends_the_process_and_no_answer_is_taken_for_anothers() -> None:
    trial = Trial()

    with pytest.raises(OverflowError):
        trial.problem("start: a_rule_that_is_not_there", math.inf)  # no clock goes as far

    assert trial.problem('start: "a"', time.monotonic() + 60) == ""
    trial.close()


def test_a_start_that_breaks_off_leaves_no_process() -> None:
    trial = Trial(start_s=math.inf)

    with pytest.raises(OverflowError):
        trial.start()

    assert trial._process is None


@pytest.mark.anyio
async def test_a_closed_compiler_takes_nothing(tiny: Tiny) -> None:
    compiler = GrammarCompiler(tiny.tokenizer)
    compiler.close()

    with pytest.raises(EngineClosed):
        await compiler.compile(Regex("a"))


@pytest.mark.anyio
async def test_who_waits_for_a_compiler_that_is_closed_hears_of_it(tiny: Tiny) -> None:
    compiler = GrammarCompiler(tiny.tokenizer)
    asked = [asyncio.create_task(compiler.compile(PROPERTIES)) for _ in range(4)]
    await asyncio.sleep(0)

    compiler.close()

    _, *others = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(other) for other in others] == [EngineClosed] * 3


@pytest.mark.anyio
async def test_who_goes_away_leaves_the_compiler_to_the_others(tiny: Tiny) -> None:
    compiler = GrammarCompiler(tiny.tokenizer, max_waiting=3)
    asked = [asyncio.create_task(compiler.compile(PROPERTIES)) for _ in range(3)]
    await asyncio.sleep(0)

    asked[1].cancel()

    first, second, third = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(first, list)
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(third, list)
    await asyncio.gather(*(compiler.compile(Regex("a")) for _ in range(3)))
    compiler.close()


@pytest.mark.anyio
async def test_a_full_queue_before_the_compiler_refuses_more_until_it_is_through(tiny: Tiny) -> None:
    compiler = GrammarCompiler(tiny.tokenizer, max_waiting=2)

    asked = [compiler.compile(Regex("a")) for _ in range(3)]
    first, second, third = await asyncio.gather(*asked, return_exceptions=True)
    later = await compiler.compile(Regex("a"))

    assert isinstance(first, list)
    assert isinstance(second, list)
    assert isinstance(third, EngineOverloaded)
    assert [matching.is_complete for matching in later] == [False]
    compiler.close()


def endless() -> JsonSchema:
    """Takes longer to try out than anybody waits."""
    return schema({"allOf": [{"type": "string", "pattern": f"a.*{number}"} for number in range(60)]})


@pytest.mark.anyio
async def test_the_prompts_of_one_request_wait_as_one_and_have_a_matching_each(tiny: Tiny) -> None:
    compiler, own = GrammarCompiler(tiny.tokenizer, max_waiting=2), schema({"type": "boolean"})
    other = asyncio.create_task(compiler.compile(PROPERTIES, 1, "anna"))
    await asyncio.sleep(0)

    together = await asyncio.gather(*(compiler.compile(own, 2, "anna") for _ in range(64)))

    assert [len(matchings) for matchings in together] == [2] * 64
    assert len({id(one) for matchings in together for one in matchings}) == 128
    assert len(await other) == 1
    compiler.close()


@pytest.mark.anyio
@pytest.mark.parametrize("step", ["_tried", "_matcher"])
async def test_what_is_wrong_with_a_grammar_is_found_once_for_all_prompts_of_a_request(
    tiny: Tiny, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, own, calls = GrammarCompiler(tiny.tokenizer), schema({"type": "boolean"}), list[str]()

    def refuse(*_: object) -> NoReturn:
        calls.append(step)
        raise InvalidGrammar("", "it is broken")

    monkeypatch.setattr(compiler._quick, step, refuse)

    refused = await asyncio.gather(*(compiler.compile(own, 1, "anna") for _ in range(64)), return_exceptions=True)

    assert all(isinstance(error, InvalidGrammar) for error in refused)
    assert calls == [step]
    compiler.close()


@pytest.mark.anyio
async def test_nobody_waits_for_all_the_grammars_that_another_has_asked_for(tiny: Tiny) -> None:
    compiler, ended = GrammarCompiler(tiny.tokenizer, compile_s=0.3), list[str]()

    async def compiled(grammar: Grammar, partition: str) -> None:
        with suppress(InvalidGrammar):
            await compiler.compile(grammar, 1, partition)
        ended.append(partition)

    mallorys = [asyncio.create_task(compiled(endless(), "mallory")) for _ in range(6)]
    await asyncio.sleep(0)
    await compiled(Regex("a"), "anna")

    assert ended.count("mallory") <= 2
    await asyncio.gather(*mallorys)
    assert ended.count("mallory") == 6
    compiler.close()


@pytest.mark.anyio
async def test_one_partition_leaves_places_for_the_others(tiny: Tiny) -> None:
    compiler = GrammarCompiler(tiny.tokenizer, max_waiting=4, max_each=3)
    mallorys = [asyncio.create_task(compiler.compile(schema({"const": number}), 1, "mallory")) for number in range(5)]
    await asyncio.sleep(0)

    annas = await compiler.compile(Regex("a"), 1, "anna")

    told = await asyncio.gather(*mallorys, return_exceptions=True)
    assert [isinstance(one, EngineOverloaded) for one in told] == [False, False, False, True, True]
    assert len(annas) == 1
    compiler.close()


@pytest.mark.anyio
async def test_who_has_a_quick_grammar_waits_for_no_slow_ones_of_their_own(tiny: Tiny) -> None:
    compiler, ended = GrammarCompiler(tiny.tokenizer, compile_s=3.0, quick_s=0.3), list[str]()

    async def compiled(grammar: Grammar, name: str) -> None:
        with suppress(InvalidGrammar):
            await compiler.compile(grammar, 1, "anna")
        ended.append(name)

    slow = [asyncio.create_task(compiled(endless(), "slow")) for _ in range(2)]
    await asyncio.sleep(0)
    await compiled(Regex("a"), "quick")

    assert ended == ["quick"]
    await asyncio.gather(*slow)
    compiler.close()


@pytest.mark.anyio
async def test_what_is_not_done_soon_is_done_all_the_same(tiny: Tiny) -> None:
    compiler = GrammarCompiler(tiny.tokenizer, quick_s=0.0)

    (matching,) = await compiler.compile(Regex("a+"))

    assert not matching.is_complete
    compiler.close()
