"""hrm_model.endings: where a JSON text stands, who inherits from the closing token, and what a draw makes of it."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrm_model.endings import Allowed, JsonPlace, Mask, Vocabulary
from hrm_model.sampling import Draw, Drawn, NotFinite, draw
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import Sampling
from tests.byte_tokenizer import FIRST_BYTE, load

ALL = b'"0123456789.eE]},: aw-'


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load(tmp_path_factory.mktemp("bytes"))


def ids(characters: bytes) -> list[int]:
    return [FIRST_BYTE + byte for byte in characters]


def characters(mask: Mask | None) -> set[str]:
    """The bytes that a mask lets through, as text; byte tokens only."""
    return set() if mask is None else {chr(token - FIRST_BYTE) for token in np.flatnonzero(mask) if token >= FIRST_BYTE}


def allowed(tokenizer: Tokenizer, said: str, may_follow: bytes, *, may_close: bool = False) -> Allowed:
    words = Vocabulary(tokenizer)
    mask = np.zeros(tokenizer.vocab_size, dtype=np.bool_)
    mask[ids(may_follow)] = True
    mask[words.end] = may_close
    return JsonPlace().after(said.encode()).allowed(mask, words)


@pytest.mark.parametrize(
    ("said", "enders", "leavers"),
    [
        ("", "]}", ""),
        ('{"a": "x', '"', ""),
        ('{"a": "x\\', "", ""),
        ('{"a": "', "", ""),
        ('{"a": ""', "]}", ""),
        ('{"a": "\\"', '"', ""),
        ('{"a": "x\\"y', '"', ""),
        ('{"a": "x"', "]}", ""),
        ('{"a": 27', "]}", '"]},: aw-'),
        ('{"a": "27', '"', ""),
        ('{"a": -', "]}", ""),
        ('{"a7', '"', ""),
    ],
)
def test_a_value_is_ended_by_what_can_end_it(tokenizer: Tokenizer, said: str, enders: str, leavers: str) -> None:
    here = allowed(tokenizer, said, ALL)

    assert characters(here.enders) == set(enders)
    assert characters(here.leavers) == set(leavers)


def test_nobody_inherits_from_a_closing_token_that_may_follow(tokenizer: Tokenizer) -> None:
    assert allowed(tokenizer, "27", b"0123456789", may_close=True).enders is None
    assert allowed(tokenizer, '"a', b"ab", may_close=True).enders is None


def test_the_first_line_of_a_call_is_no_json(tokenizer: Tokenizer) -> None:
    place = JsonPlace(has_begun=False).after(b"day2")
    everything = np.ones(tokenizer.vocab_size, dtype=np.bool_)
    everything[tokenizer.control("<|box_end|>")] = False

    here = place.allowed(everything, Vocabulary(tokenizer))
    assert (here.enders, here.leavers) == (None, None)
    assert place.after(b"\n{") == JsonPlace()


@given(value=st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
       ascii_only=st.booleans(), data=st.data())  # fmt: skip
def test_a_place_does_not_depend_on_how_the_text_was_cut(value: object, ascii_only: bool, data: st.DataObject) -> None:
    said = json.dumps(value, ensure_ascii=ascii_only).encode()
    cut = data.draw(st.integers(0, len(said)))

    assert JsonPlace().after(said[:cut]).after(said[cut:]) == JsonPlace().after(said)
    assert not JsonPlace().after(said).in_string


def drawn(tokenizer: Tokenizer, here: Allowed, liked: dict[str, float], sampling: Sampling, position: int = 5) -> str:
    """What is drawn where the model likes these characters, `end` being the closing token, and nothing else."""
    logits_V = torch.full((tokenizer.vocab_size + 8,), -5.0)
    for character, logit in liked.items():
        logits_V[here.end if character == "end" else FIRST_BYTE + ord(character)] = logit
    logits_V[-1] = 100.0  # padding that no token stands behind
    (one,) = draw(logits_V[None], [Draw(sampling, 0, 0, position, allowed=here)])
    assert isinstance(one, Drawn)
    return "end" if one.token == here.end else chr(one.token - FIRST_BYTE)


@pytest.mark.parametrize("temperature", [0.0, 0.01])
def test_a_model_that_wants_to_end_ends_the_value(tokenizer: Tokenizer, temperature: float) -> None:
    greedy = Sampling(temperature=temperature)

    assert drawn(tokenizer, allowed(tokenizer, '{"a": "x', b'abc"'), {"end": 9.0, "b": 5.0}, greedy) == '"'
    assert drawn(tokenizer, allowed(tokenizer, '{"a": "x', b'abc"'), {"end": 4.0, "b": 5.0}, greedy) == "b"
    assert drawn(tokenizer, allowed(tokenizer, '{"a": 27', b"0123,}"), {" ": 9.0, "3": 5.0, ",": 1.0}, greedy) == ","
    assert drawn(tokenizer, allowed(tokenizer, '{"a": 27', b"0123,}"), {"end": 9.0, "3": 5.0, ",": 1.0}, greedy) == "}"
    assert drawn(tokenizer, allowed(tokenizer, '{"a": 27', b"0123,}"), {" ": 4.0, "3": 5.0}, greedy) == "3"
    assert drawn(tokenizer, allowed(tokenizer, '{"a": "x"', b",}"), {"end": 9.0, ",": 5.0}, greedy) == "}"


def test_before_min_tokens_nobody_inherits_from_the_closing_token(tokenizer: Tokenizer) -> None:
    here = allowed(tokenizer, '{"a": "x', b'abc"')
    sampling = Sampling(min_tokens=9, stop_token_ids=(here.end,))

    assert drawn(tokenizer, here, {"end": 9.0, "b": 5.0}, sampling) == "b"
    assert drawn(tokenizer, here, {"end": 9.0, "b": 5.0}, sampling, position=9) == '"'


def test_a_ban_of_closing_tokens_yields_where_nothing_else_may_follow(tokenizer: Tokenizer) -> None:
    here = allowed(tokenizer, "27", b"", may_close=True)

    assert drawn(tokenizer, here, {}, Sampling(min_tokens=9, stop_token_ids=(here.end,))) == "end"


def test_a_row_in_which_nothing_may_follow_is_an_error(tokenizer: Tokenizer) -> None:
    here = allowed(tokenizer, "27", b"")

    (one,) = draw(torch.zeros(1, tokenizer.vocab_size), [Draw(Sampling(), 0, 0, 0, allowed=here)])

    assert isinstance(one, NotFinite)
