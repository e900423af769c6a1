"""Text to ids and back: nothing in a text becomes a control token, and no piece is half a character."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_model.errors import CheckpointError
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.training.vocabulary import train_tokenizer
from tests.byte_tokenizer import CONTROLS, FIRST_BYTE, MERGED, byte_tokenizer, load, write_tokenizer


@pytest.fixture(scope="module")
def bytewise(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load(tmp_path_factory.mktemp("bytewise"))


@pytest.fixture(scope="module", params=["bytewise", "trained"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    if request.param == "bytewise":
        return load(folder)
    train_tokenizer(["Naïve façade, größer, 東京 and 🙂🙂 stand here; the desk answers within 28 days."], 320, folder)
    return load_tokenizer(folder)


def refused(folder: Path, raw: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_tokenizer(write_tokenizer(folder, raw))
    assert caught.value.path == folder / "tokenizer.json"
    return caught.value.problem


@given(text=st.text())
def test_any_text_survives_as_its_nfc(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == unicodedata.normalize("NFC", text)


@given(text=st.text())
def test_token_by_token_says_the_same_as_all_at_once(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    decoder = tokenizer.decoder()

    pieces = [decoder.push(token) for token in ids]

    assert "".join(pieces) == tokenizer.decode(ids)
    assert decoder.flush() == ""


@given(text=st.text(alphabet=st.characters(exclude_characters="\ufffd", exclude_categories=["Cs"])))
def test_no_piece_is_half_a_character(tokenizer: Tokenizer, text: str) -> None:
    decoder = tokenizer.decoder()

    for token in tokenizer.encode(text):
        assert "\ufffd" not in decoder.push(token)


@given(ids=st.lists(st.integers(0, 300)))
def test_any_ids_at_all_decode_alike_in_pieces_and_whole(bytewise: Tokenizer, ids: list[int]) -> None:
    decoder = bytewise.decoder()

    pieces = [decoder.push(token) for token in ids]

    assert "".join(pieces) + decoder.flush() == bytewise.decode(ids)


def test_a_character_appears_with_its_last_byte(bytewise: Tokenizer) -> None:
    decoder = bytewise.decoder()

    assert [decoder.push(FIRST_BYTE + byte) for byte in "🙂é".encode()] == ["", "", "", "🙂", "", "é"]


def test_an_answer_that_ends_inside_a_character_ends_in_a_replacement(bytewise: Tokenizer) -> None:
    decoder = bytewise.decoder()
    ids = bytewise.encode("a🙂")[:-1]

    pieces = [decoder.push(token) for token in ids]

    assert (pieces, decoder.flush()) == (["a", "", "", ""], "\ufffd")


@pytest.mark.parametrize("token", list(CONTROLS))
def test_a_control_token_in_a_text_is_ordinary_characters(bytewise: Tokenizer, token: str) -> None:
    assert bytewise.encode(token) == [FIRST_BYTE + byte for byte in token.encode()]
    assert bytewise.control(token) == CONTROLS[token]
    assert bytewise.token_bytes(CONTROLS[token]) == b""


hostile = st.lists(st.one_of(st.sampled_from([*CONTROLS, " "]), st.text(max_size=6)), max_size=6).map("".join)


@given(text=hostile)
def test_no_text_encodes_to_a_control_id(tokenizer: Tokenizer, text: str) -> None:
    controls = {tokenizer.control(token) for token in CONTROLS}

    assert not controls & set(tokenizer.encode(text))


@given(text=hostile)
def test_a_tokenizer_that_takes_whole_words_takes_no_control_token(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    raw = byte_tokenizer()
    raw["model"]["ignore_merges"] = True
    careless = load_tokenizer(write_tokenizer(tmp_path_factory.mktemp("words"), raw))

    for one in (text, *CONTROLS):
        assert not set(careless.encode(one)) & set(CONTROLS.values())


def test_control_tokens_may_stand_in_the_vocabulary_alone(tmp_path: Path) -> None:
    raw = byte_tokenizer() | {"added_tokens": []}

    tokenizer = load_tokenizer(write_tokenizer(tmp_path, raw))

    assert tokenizer.control("<|im_end|>") == 7
    assert not set(tokenizer.encode("<|im_end|>")) & set(CONTROLS.values())


def test_control_tokens_may_stand_outside_the_vocabulary(tmp_path: Path) -> None:
    raw = byte_tokenizer()
    for token in CONTROLS:
        del raw["model"]["vocab"][token]

    assert load_tokenizer(write_tokenizer(tmp_path, raw)).control("<|im_end|>") == 7


def test_counting_is_encoding(bytewise: Tokenizer) -> None:
    texts = ["", "the theme", "größer"]

    assert bytewise.count(texts) == [len(bytewise.encode(text)) for text in texts] == [0, 5, 8]


@given(text=st.one_of(st.text(), st.text("a\u0308\u0323\uac00\u1100\u1161\u11a8\u0ddd")))
def test_a_text_never_has_fewer_tokens_than_its_length_says(tokenizer: Tokenizer, text: str) -> None:
    for one in (text, unicodedata.normalize("NFD", text)):
        assert tokenizer.least(one) <= len(tokenizer.encode(one))


def test_length_says_how_many_tokens_are_certain(bytewise: Tokenizer, tmp_path: Path) -> None:
    plain = load_tokenizer(write_tokenizer(tmp_path, {**byte_tokenizer(), "normalizer": None}))

    # The longest token is `the`; composed characters may take a third of what they took.
    assert (plain.least(""), plain.least("the" * 100), plain.least("é" * 6)) == (0, 100, 4)
    assert bytewise.least("the" * 300) == 100


def test_length_says_nothing_where_a_normalizer_may_shorten_a_text(tmp_path: Path) -> None:
    shortening = {"type": "Replace", "pattern": {"Regex": "x+"}, "content": "x"}
    tokenizer = load_tokenizer(write_tokenizer(tmp_path, {**byte_tokenizer(), "normalizer": shortening}))

    assert len(tokenizer.encode("x" * 10_000)) == 1
    assert tokenizer.least("x" * 10_000) == 0


def test_the_vocabulary_ends_after_its_largest_id_even_when_ids_are_left_out(tmp_path: Path) -> None:
    raw = byte_tokenizer()
    raw["model"]["vocab"]["the"] = 900

    tokenizer = load_tokenizer(write_tokenizer(tmp_path, raw))

    assert tokenizer.vocab_size == 901
    assert tokenizer.decode(tokenizer.encode("the")) == "the"
    assert tokenizer.token_bytes(899) == b""


def test_ids_beyond_the_vocabulary_are_padding_and_say_nothing(bytewise: Tokenizer) -> None:
    assert bytewise.vocab_size == MERGED["the"] + 1
    assert bytewise.decode([bytewise.vocab_size, 60_000, -1]) == ""


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in byte_tokenizer().items() if name != key}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: there is no such file"):
        load_tokenizer(tmp_path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(byte_tokenizer())[:400], encoding="utf-8")

    with pytest.raises(CheckpointError, match="not readable as JSON"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("raw", [[], None, {}, {"model": 3}, "BPE", _without("model")])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, raw: object) -> None:
    assert refused(tmp_path, raw).startswith(("not a tokenizer.json", "model.type is not 'BPE'"))


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "WordLevel"])
def test_a_model_that_is_no_bpe_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    raw = byte_tokenizer()
    raw["model"]["type"] = kind

    assert refused(tmp_path, raw) == "model.type is not 'BPE'"


@pytest.mark.parametrize("decoder", [None, {"type": "Metaspace"}, {"type": "WordPiece"}])
def test_a_bpe_that_is_not_of_bytes_is_refused_by_name(tmp_path: Path, decoder: object) -> None:
    assert refused(tmp_path, byte_tokenizer() | {"decoder": decoder}) == "decoder.type is not 'ByteLevel'"


def test_a_token_that_spells_no_bytes_is_named(tmp_path: Path) -> None:
    raw = byte_tokenizer()
    raw["model"]["vocab"]["▁the"] = 400

    assert refused(tmp_path, raw) == "no byte-level BPE: the token '▁the' does not spell bytes"


def test_a_byte_without_a_token_is_named(tmp_path: Path) -> None:
    raw = byte_tokenizer()
    del raw["model"]["vocab"]["Ã"]

    assert refused(tmp_path, raw) == "no byte-level BPE: the byte 0xC3 has no token"


@pytest.mark.parametrize("splitter", [None, {"type": "Whitespace"}])
def test_a_tokenizer_that_loses_text_is_refused(tmp_path: Path, splitter: object) -> None:
    assert "comes back as" in refused(tmp_path, byte_tokenizer() | {"pre_tokenizer": splitter})


@pytest.mark.parametrize("token", ["<|im_start|>", "<|im_end|>", "<|box_end|>", "<|object_ref_start|>"])
def test_a_missing_control_token_is_named(tmp_path: Path, token: str) -> None:
    raw = byte_tokenizer()
    raw["added_tokens"] = [entry for entry in raw["added_tokens"] if entry["content"] != token]
    del raw["model"]["vocab"][token]

    assert refused(tmp_path, raw) == f"control tokens are missing: {token}"


def test_a_control_token_that_shares_its_id_with_text_is_refused(tmp_path: Path) -> None:
    raw = byte_tokenizer()
    del raw["model"]["vocab"]["<|im_end|>"]
    raw["added_tokens"][2]["id"] = FIRST_BYTE + ord("a")

    assert refused(tmp_path, raw) == "id 113 stands for both '<|im_end|>' and 'a'"


def test_a_control_token_with_two_ids_is_refused(tmp_path: Path) -> None:
    raw = byte_tokenizer()
    raw["added_tokens"][2]["id"] = 500

    assert refused(tmp_path, raw) == "<|im_end|> is 500 in added_tokens, but 7 in model.vocab"


@pytest.mark.parametrize("entry", [{"content": "<|x|>"}, {"content": "<|x|>", "id": "seven"}, 3])
def test_a_malformed_added_token_is_refused(tmp_path: Path, entry: object) -> None:
    raw = byte_tokenizer()
    raw["added_tokens"].append(entry)

    assert refused(tmp_path, raw).startswith("not a tokenizer.json")
