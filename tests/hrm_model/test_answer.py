"""hrm_model.answer: tokens to text that is certain, stop strings held back, and why an answer ended."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm_model.answer import Answer
from hrm_model.template import END_ANSWER
from hrm_model.tokenizer import Tokenizer, load_tokenizer
from hrm_model.training.vocabulary import CONTROL_TOKENS, train_tokenizer

MANY = 1000


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """All 256 bytes and a few merges, so that a character often takes several tokens."""
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(["the end of the day", "aab abab baab"], 8 + 256 + 10, folder)
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def byte_ids(tokenizer: Tokenizer) -> dict[int, int]:
    ids = range(len(CONTROL_TOKENS), tokenizer.vocab_size)
    return {piece[0]: token for token in ids if len(piece := tokenizer.token_bytes(token)) == 1}


class Writing:
    """One answer written byte by byte, and the pieces that came out."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        byte_ids: dict[int, int],
        *stop: str,
        max_tokens: int = MANY,
        min_tokens: int = 0,
        ends: str = "",
    ) -> None:
        self._tokenizer, self._byte_ids = tokenizer, byte_ids
        end_tokens = [tokenizer.control(END_ANSWER), *(byte_ids[byte] for byte in ends.encode())]
        self.answer = Answer(tokenizer, end_tokens, stop, max_tokens, min_tokens=min_tokens)

    def write(self, text: str | bytes) -> list[str]:
        raw = text.encode() if isinstance(text, str) else text
        return [self.answer.push(self._byte_ids[byte]) for byte in raw]

    def end(self) -> str:
        return self.answer.push(self._tokenizer.control(END_ANSWER))


def test_text_comes_as_it_is_written_and_the_closing_token_ends_it(
    tokenizer: Tokenizer, byte_ids: dict[int, int]
) -> None:
    writing = Writing(tokenizer, byte_ids)

    assert writing.write("day") == ["d", "a", "y"]
    assert (writing.answer.reason, writing.answer.tokens) == (None, 3)
    assert writing.end() == ""
    assert (writing.answer.reason, writing.answer.tokens) == ("stop", 4)


@pytest.mark.parametrize("character", ["é", "東", "🙂"])
def test_a_character_comes_whole_or_not_at_all(tokenizer: Tokenizer, byte_ids: dict[int, int], character: str) -> None:
    pieces = Writing(tokenizer, byte_ids).write(character)

    assert pieces == [""] * (len(character.encode()) - 1) + [character]


@pytest.mark.parametrize("ends", ["closing token", "length"])
def test_an_answer_that_ends_inside_a_character_says_so(
    tokenizer: Tokenizer, byte_ids: dict[int, int], ends: str
) -> None:
    half = "a🙂".encode()[:3]
    writing = Writing(tokenizer, byte_ids, max_tokens=3 if ends == "length" else MANY)

    pieces = writing.write(half)
    if ends == "closing token":
        pieces.append(writing.end())

    assert "".join(pieces) == "a\ufffd"
    assert writing.answer.reason == ("length" if ends == "length" else "stop")


def test_a_stop_string_across_tokens_never_shows(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, "END")

    assert writing.write("an END") == ["a", "n", " ", "", "", ""]
    assert writing.answer.reason == "stop"


def test_what_only_looked_like_a_stop_string_comes_later(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, "END")

    assert writing.write("ENEx") == ["", "", "EN", "Ex"]
    assert writing.write("EN") == ["", ""]
    assert writing.end() == "EN"


def test_what_is_held_back_comes_when_the_length_is_reached(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, "END", max_tokens=3)

    assert writing.write("xEN") == ["x", "", "EN"]
    assert writing.answer.reason == "length"


def test_the_earliest_of_several_stop_strings_in_one_token_counts(tokenizer: Tokenizer) -> None:
    whole = next(token for token in range(tokenizer.vocab_size) if tokenizer.token_bytes(token) == b"the")
    answer = Answer(tokenizer, [tokenizer.control(END_ANSWER)], ("e", "h"), MANY)

    assert answer.push(whole) == "t"
    assert answer.reason == "stop"


def test_a_stop_string_in_the_last_token_is_a_stop(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, "!", max_tokens=2)

    writing.write("a!")

    assert (writing.answer.reason, writing.answer.tokens) == ("stop", 2)


def test_a_closing_token_in_the_last_place_is_a_stop(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, max_tokens=2)

    writing.write("a")
    writing.end()

    assert (writing.answer.reason, writing.answer.tokens) == ("stop", 2)


def test_control_and_padding_tokens_have_no_text(tokenizer: Tokenizer) -> None:
    answer = Answer(tokenizer, [tokenizer.control(END_ANSWER)], (), MANY)

    assert [answer.push(0), answer.push(tokenizer.vocab_size + 3)] == ["", ""]
    assert answer.tokens == 2


def test_any_of_the_end_tokens_ends_an_answer_without_text(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, ends="?!")

    assert writing.write("ab!") == ["a", "b", ""]
    assert (writing.answer.reason, writing.answer.tokens) == ("stop", 3)


def test_a_stop_string_within_the_shortest_answer_is_text(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, "!", min_tokens=2)

    assert writing.write("!!") == ["!", "!"]
    assert writing.write("!") == [""]
    assert (writing.answer.reason, writing.answer.tokens) == ("stop", 3)


def test_a_stop_string_that_was_complete_too_early_does_not_count_later(
    tokenizer: Tokenizer, byte_ids: dict[int, int]
) -> None:
    # "ab" is complete within the two tokens, and is held back as the beginning of "abcd".
    writing = Writing(tokenizer, byte_ids, "ab", "abcd", min_tokens=2)

    assert writing.write("ab") == ["", ""]
    assert writing.write("cx") == ["", "abcx"]
    assert writing.write("ab") == ["", ""]
    assert writing.answer.reason == "stop"


def test_a_stop_string_may_begin_within_the_shortest_answer(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, "END", min_tokens=2)

    assert writing.write("END") == ["", "", ""]
    assert writing.answer.reason == "stop"


# Few letters, so that stop strings do occur; a two-byte and a four-byte character, and any token at all.
LETTERS = st.text(alphabet="ab é🙂", min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    stop=st.lists(LETTERS, max_size=3),
    max_tokens=st.integers(1, 40),
    min_tokens=st.sampled_from([0, 0, 1, 3, 8]),
    is_ended=st.booleans(),
)
def test_all_pieces_together_are_the_text_cut_at_the_first_stop(
    tokenizer: Tokenizer,
    byte_ids: dict[int, int],
    data: st.DataObject,
    stop: list[str],
    max_tokens: int,
    min_tokens: int,
    is_ended: bool,
) -> None:
    spelled = data.draw(st.text(alphabet="ab é🙂", max_size=20)).encode()
    merged = [token for token in range(tokenizer.vocab_size) if set(tokenizer.token_bytes(token)) <= set(b"ab ")]
    merged.remove(tokenizer.control(END_ANSWER))
    tokens = [byte_ids[byte] for byte in spelled] + data.draw(st.lists(st.sampled_from(merged), max_size=10))
    tokens = data.draw(st.permutations(tokens)) if data.draw(st.booleans()) else tokens
    if is_ended:
        tokens.append(tokenizer.control(END_ANSWER))
    answer = Answer(tokenizer, [tokenizer.control(END_ANSWER)], tuple(stop), max_tokens, min_tokens=min_tokens)

    pieces: list[str] = []
    for token in tokens:
        if answer.reason is not None:
            break
        pieces.append(answer.push(token))

    # Read again with hindsight: the shortest beginning that holds a stop string is where the answer ends.
    read = tokens[: answer.tokens]
    whole = tokenizer.decode(read)
    before = tokenizer.decode(read[:-1]).rstrip("\ufffd")
    excused = len(tokenizer.decode(read[:min_tokens]).rstrip("\ufffd"))
    said = "".join(pieces)

    def first(string: str, text: str) -> int:
        return next((m for m in range(len(text)) if text.startswith(string, m) and m + len(string) > excused), -1)

    assert not any(first(string, before) >= 0 for string in stop)
    found = [at for string in stop if answer.tokens > min_tokens and (at := first(string, whole)) >= 0]
    if found:
        assert (said, answer.reason) == (whole[: min(found)], "stop")
    elif answer.reason is not None:
        assert said == whole
        assert (answer.reason == "stop") == (read[-1] == tokenizer.control(END_ANSWER))
        assert answer.reason == "stop" or answer.tokens == max_tokens
    else:
        assert whole.startswith(said)
        assert len(read) == len(tokens) < max_tokens
        held = whole.removeprefix(said).rstrip("\ufffd")
        assert held == "" or any(string.startswith(held) for string in stop), "held back without need"


def test_a_token_is_said_with_the_text_that_it_begins_in(tokenizer: Tokenizer, byte_ids: dict[int, int]) -> None:
    writing = Writing(tokenizer, byte_ids, "abx", "bcy")

    unsaid = [(writing.write(byte)[0], writing.answer.unsaid) for byte in ("q", "a", "b", "c")]

    assert unsaid == [("q", 0), ("", 1), ("", 2), ("a", 2)]
    assert writing.write("y") == [""]
    assert (writing.answer.reason, writing.answer.unsaid) == ("stop", 3)


def test_nothing_is_left_unsaid_where_no_stop_string_ends_an_answer(
    tokenizer: Tokenizer, byte_ids: dict[int, int]
) -> None:
    writing = Writing(tokenizer, byte_ids, "abx")
    writing.write("ab")
    assert writing.answer.unsaid == 2

    assert writing.end() == "ab"

    assert writing.answer.unsaid == 0


def after(tokenizer: Tokenizer, byte_ids: dict[int, int], given: str, *stop: str) -> Writing:
    """An answer that was given its beginning."""
    writing = Writing(tokenizer, byte_ids, *stop)
    ids = [byte_ids[byte] for byte in given.encode()]
    writing.answer = Answer(tokenizer, [tokenizer.control(END_ANSWER)], stop, MANY, given=ids)
    return writing


def test_a_stop_string_that_begins_in_what_was_given_ends_the_answer(
    tokenizer: Tokenizer, byte_ids: dict[int, int]
) -> None:
    writing = after(tokenizer, byte_ids, "abcd", "cdxy")

    assert writing.write("xy") == ["", ""]
    assert (writing.answer.reason, writing.answer.tokens, writing.answer.unsaid) == ("stop", 2, 2)


def test_what_was_given_is_not_said_where_it_is_no_stop_string_after_all(
    tokenizer: Tokenizer, byte_ids: dict[int, int]
) -> None:
    writing = after(tokenizer, byte_ids, "abcd", "cdxy", "bcd")

    assert writing.write("xz") == ["", "xz"]
    assert writing.write("bcd") == ["", "", ""]
    assert writing.answer.reason == "stop", "of what was drawn, one that was given as well ends it"


def test_a_character_that_was_given_in_part_is_said_by_who_completes_it(
    tokenizer: Tokenizer, byte_ids: dict[int, int]
) -> None:
    *first, last = [byte_ids[byte] for byte in "東".encode()]
    for prompt, part in (([], first), (first[:1], first[1:])):
        answer = Answer(tokenizer, [tokenizer.control(END_ANSWER)], (), MANY, given=part, prompt=prompt)

        assert answer.push(last) == "東"

    assert Answer(tokenizer, [tokenizer.control(END_ANSWER)], (), MANY, given=first).close() == "\ufffd"
