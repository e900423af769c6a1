"""Reading and spelling training pairs: what is refused, by file and line, and what is left out."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hrm_model.template import BEGIN_QUESTION, CONDITION_TOKENS, END_ANSWER, END_QUESTION
from hrm_model.tokenizer import Tokenizer
from hrm_model.training.pairs import (
    EVIDENCE,
    NO_EVIDENCE,
    UNTOLD,
    BadPair,
    EncodedPairs,
    Pair,
    encode_pairs,
    read_pairs,
)
from hrm_model.types import TRAINED_CONDITIONS
from tests.hrm_model.training.copying import tokenizer, write

GOOD = {"instruction": "Say amber", "response": "amber"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{not json", "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"instruction": "Say amber"}', "response is missing"),
        (b'{"instruction": "  ", "response": "amber"}', "instruction is missing, empty"),
        (b'{"instruction": "Say amber", "response": 7}', "response is missing, empty or no string"),
        (b'{"instruction": "Say amber", "response": "amber", "condition": "loud"}', "condition 'loud'"),
        (b'{"instruction": "Say amber", "response": "amber", "condition": "cot,synth"}', "condition 'cot,synth'"),
        (b'{"instruction": "Say amber", "response": "amber", "condition": []}', "condition []"),
        (b'{"instruction": "Say amber", "response": "amber", "condition": 5}', "condition 5"),
        (b'{"instruction": "Say amber", "response": "amber", "condition": null}', "condition None"),
        (b'{"instruction": "Say amber", "response": "amber", "condition": {"direct": 1}}', "condition {'direct': 1}"),
        (b'{"instruction": "Say \\ud800", "response": "amber"}', "instruction holds half a surrogate pair"),
        (b'{"instruction": "Say amber", "response": "\\udc00"}', "response holds half a surrogate pair"),
        (b'{"instruction": "Say \xff", "response": "amber"}', "not UTF-8"),
        (b'{"instruction": "Say amber", "response": "amber", "evidence": "cedar"}', "evidence 'cedar' is neither null"),
        (b'{"instruction": "Say amber", "response": "amber", "evidence": " "}', "evidence ' ' is neither null"),
        (b'{"instruction": "Say 7", "response": "7", "evidence": 7}', "evidence 7 is neither null"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_by_file_and_line(tmp_path: Path, line: bytes, complaint: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\n" + line + b"\n")

    with pytest.raises(BadPair) as refused:
        list(read_pairs(path, with_evidence=True))

    assert str(refused.value).startswith(f"{path}:3: ")
    assert complaint in str(refused.value)


def test_blank_lines_and_other_keys_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("\n" + json.dumps({**GOOD, "kind": "copy"}) + "\n  \n" + json.dumps(GOOD), encoding="utf-8")

    pairs = list(read_pairs(path))

    assert [(pair.instruction, pair.response, pair.condition) for pair in pairs] == [
        ("Say amber", "amber", ("direct",))
    ] * 2


def test_a_condition_is_a_string_or_a_list(tmp_path: Path) -> None:
    names = sorted(TRAINED_CONDITIONS)
    spelled = [*(",".join(condition) for condition in names), *map(list, names)]
    path = write(tmp_path / "data.jsonl", ({**GOOD, "condition": condition} for condition in spelled))

    assert [pair.condition for pair in read_pairs(path)] == [*names, *names]


def test_a_pair_is_the_prompt_as_it_is_served_the_response_and_the_closing_token(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", [{"instruction": " Say 12 ", "response": "12\n", "condition": "synth,cot"}])
    words = tokenizer(tmp_path)

    pairs, _ = encode_pairs(read_pairs(path), words, longest=64)

    controls = [words.control(name) for name in (BEGIN_QUESTION, CONDITION_TOKENS["synth"], CONDITION_TOKENS["cot"])]
    prompt = [*controls, *words.encode("Say 12"), words.control(END_QUESTION)]
    assert pairs.pair(0).tolist() == [*prompt, *words.encode("12"), words.control(END_ANSWER)]
    assert pairs.prefix.tolist() == [len(prompt)]


def test_control_tokens_in_a_text_stay_text(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", [{"instruction": f"Say {END_QUESTION}", "response": END_ANSWER}])
    words = tokenizer(tmp_path)

    pairs, _ = encode_pairs(read_pairs(path), words, longest=128)

    ids = pairs.pair(0).tolist()
    assert ids.count(words.control(END_QUESTION)) == ids.count(words.control(END_ANSWER)) == 1


def told(folder: Path, *records: dict[str, object]) -> Iterator[Pair]:
    return read_pairs(write(folder / "data.jsonl", records), with_evidence=True)


def marked(pairs: EncodedPairs, index: int, words: Tokenizer, told: int) -> str:
    ids = pairs.pair(index)[pairs.evidence_of(index) == told]
    return words.decode(ids.tolist())


def test_evidence_is_told_of_every_token_of_the_instruction_and_of_no_other(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [
        {"instruction": " Say ember, not 12 \n", "response": "ember", "evidence": "ember,"},
        {"instruction": "Say ember", "response": "nothing", "evidence": None, "condition": "synth,cot"},
        {"instruction": "Say ember", "response": "ember"},
        {"instruction": "Say ember", "response": "ember", "evidence": "Say ember", "condition": "synth,cot"},
    ]
    words = tokenizer(tmp_path)
    pairs, _ = encode_pairs(told(tmp_path, *records), words, longest=64)

    assert marked(pairs, 0, words, EVIDENCE).strip() == "ember,"
    assert marked(pairs, 0, words, NO_EVIDENCE).replace(" ", "") == "Say" + "not12"
    assert marked(pairs, 1, words, EVIDENCE) == ""
    assert marked(pairs, 1, words, NO_EVIDENCE) == "Say ember"
    assert set(pairs.evidence_of(2)) == {UNTOLD}
    assert marked(pairs, 3, words, EVIDENCE) == "Say ember"
    for index in range(4):
        untold = pairs.evidence_of(index)[pairs.prefix[index] - 1 :]
        assert set(untold) == {UNTOLD}, "the closing of the question and the response"


def test_a_token_that_is_part_evidence_is_evidence(tmp_path: Path) -> None:
    record: dict[str, object] = {"instruction": "Say amber", "response": "am", "evidence": "am"}
    words = tokenizer(tmp_path)
    pairs, _ = encode_pairs(told(tmp_path, record), words, longest=64)

    assert marked(pairs, 0, words, EVIDENCE).strip() == "amber", "a word of the vocabulary"


def test_evidence_that_stands_in_two_places_tells_nothing(tmp_path: Path) -> None:
    record: dict[str, object] = {"instruction": "Annual fee: 50, fee: 5", "response": "5", "evidence": "fee: 5"}
    pairs, _ = encode_pairs(told(tmp_path, record), tokenizer(tmp_path), longest=64)

    assert set(pairs.evidence_of(0)) == {UNTOLD}


def test_characters_that_are_composed_in_spelling_shift_no_mark(tmp_path: Path) -> None:
    record: dict[str, object] = {"instruction": "Cafe\u0301 first, ember", "response": "ember", "evidence": "ember"}
    words = tokenizer(tmp_path)
    pairs, _ = encode_pairs(told(tmp_path, record), words, longest=64)

    assert marked(pairs, 0, words, EVIDENCE).strip() == "ember"


def test_evidence_that_is_not_asked_for_may_be_anything(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", [{**GOOD, "evidence": ["a document"]}])

    assert [pair.evidence for pair in read_pairs(path)] == [None]


def test_pairs_that_are_too_long_are_left_out_and_counted(tmp_path: Path) -> None:
    records = [{"instruction": "1" * digits, "response": "2"} for digits in (4, 5, 6, 7, 3)]
    path = write(tmp_path / "data.jsonl", records)

    # A digit is a token; begin, condition, closing of the question, answer and its closing make five more.
    pairs, dropped = encode_pairs(read_pairs(path), tokenizer(tmp_path), longest=10)

    assert [pairs.length(i) for i in range(len(pairs))] == [9, 10, 8]
    assert dropped == 2


def test_a_file_without_usable_pairs_is_empty_and_not_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", [GOOD])

    pairs, dropped = encode_pairs(read_pairs(path), tokenizer(tmp_path), longest=2)

    assert (len(pairs), dropped) == (0, 1)
