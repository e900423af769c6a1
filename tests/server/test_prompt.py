"""Packing passages into a prompt: in order, within every limit, with room left for the answer."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrm_model.errors import ContextLengthExceeded
from hrm_model.template import READ_THE_PASSAGES, Shot, Source, Turn
from hrm_model.types import Limits
from retrieval.types import Passage
from server.errors import InvalidRequest
from server.prompt import Conversation, Packed, conversation, pack, refuse_hopeless
from server.schemas.chat import Message
from tests.fakes.engine import ScriptedEngine

TALK = Conversation("How long is it?", (), "")
_NUMBERS = count()


def passage(text: str, title: str = "", at: int = 0) -> Passage:
    file_id = f"file-{next(_NUMBERS)}"  # each is of a document of its own
    return Passage("c", file_id, "vs", "f.txt", title, text, at, at + len(text), hashlib.sha256().hexdigest(), 0.5)


def packed(
    passages: list[Passage],
    *,
    talk: Conversation = TALK,
    context: int = 4096,
    kv: int = 65536,
    budget: int = 2048,
    max_tokens: int | None = 64,
    asked: int | None = None,
    shots: tuple[Shot, ...] = (),
) -> Packed:
    engine = ScriptedEngine(limits=Limits(context, kv, 512, budget))
    return pack(
        talk,
        passages,
        engine=engine,
        condition=("direct",),
        max_tokens=max_tokens,
        max_context_tokens=asked,
        shots=shots,
    )


class Counting(ScriptedEngine):
    """Counts characters, as a tokenizer does that has never seen a text like this."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits=limits)
        self.counted = 0

    def count(self, texts: Sequence[str]) -> list[int]:
        self.counted += sum(map(len, texts))
        return [len(text) for text in texts]


class Measuring(Counting):
    """Knows that no token of its has more than eight characters."""

    def least(self, text: str) -> int:
        return -(-len(text) // 8)


def packed_by_characters(passages: list[Passage], context: int = 1024) -> Packed:
    engine = Counting(Limits(context, 65536, 512, 4096))
    return pack(TALK, passages, engine=engine, condition=("direct",), max_tokens=8, max_context_tokens=None)


def tokens(text: str) -> int:
    return len(text.split())


def test_a_prompt_has_passages_with_titles_then_the_sentence_of_squad_then_the_question() -> None:
    found = packed([passage("It is 5 m.", "Ropes"), passage("Or 6.")])

    assert found.prompt.text == f"Ropes:\n\nIt is 5 m.\n\nOr 6.\n\n{READ_THE_PASSAGES} How long is it?"
    assert found.truncated is False


def test_without_passages_the_question_stands_alone() -> None:
    assert packed([]).prompt.text == "How long is it?"


def test_system_text_stands_on_top_then_examples_then_earlier_turns() -> None:
    talk = Conversation("And now?", (Turn("user", "Hi"), Turn("assistant", "Hello")), "Be brief.")
    shot = Shot((Source("", "A is B."),), "What is A?", "B")

    found = packed([passage("C is D.")], talk=talk, shots=(shot,))

    assert found.prompt.text == (
        f"Be brief.\n\nA is B.\n\n{READ_THE_PASSAGES} What is A?\nB\n\nHi\n\nassistant: Hello\n\n"
        f"C is D.\n\n{READ_THE_PASSAGES} And now?"
    )


def test_passages_are_taken_in_order_until_one_does_not_fit() -> None:
    texts = ["one " * 40, "two " * 40, "three " * 40, "four"]

    found = packed([passage(text) for text in texts], budget=100)

    assert [passage.text for passage in found.passages] == texts[:2]
    assert found.truncated is True


def test_the_request_can_only_lower_the_budget() -> None:
    texts = [passage("one " * 40), passage("two " * 40)]

    assert len(packed(texts, asked=50).passages) == 1
    assert len(packed(texts, budget=50, asked=2000).passages) == 1


def test_a_first_passage_that_is_too_long_is_cut_at_a_sentence() -> None:
    text = "It is five metres. " + "It is wide. " * 50

    found = packed([passage(text, at=100)], budget=12)

    assert found.passages[0].text == "It is five metres. It is wide. It is wide."
    assert (found.passages[0].start_char, found.passages[0].end_char) == (100, 142)
    assert found.truncated is True


def test_a_first_sentence_that_is_too_long_is_cut_at_a_word() -> None:
    assert packed([passage("word " * 100)], budget=12).passages[0].text == ("word " * 10).strip()


def test_a_first_passage_is_cut_to_the_room_that_question_and_answer_leave() -> None:
    found = packed([passage("It is so. " * 100)], context=100, max_tokens=40)

    assert found.passages[0].text.startswith("It is so. It is so.")
    assert tokens(found.prompt.text) + 3 + 40 <= 100


def test_room_is_left_for_the_answer() -> None:
    few = packed([passage("one " * 40), passage("two " * 40)], context=200, max_tokens=100)
    many = packed([passage("one " * 40), passage("two " * 40)], context=200, max_tokens=10)

    assert (len(few.passages), len(many.passages)) == (1, 2)


def test_the_cache_of_the_engine_is_a_limit_like_its_context() -> None:
    assert len(packed([passage("one " * 40), passage("two " * 40)], kv=160).passages) == 1


def test_an_answer_without_a_limit_keeps_a_quarter_of_the_context() -> None:
    found = packed([passage("one " * 45), passage("two " * 45), passage("three " * 45)], context=200, max_tokens=None)

    assert tokens(found.prompt.text) + 3 <= 150
    assert len(found.passages) == 2


def test_a_question_that_leaves_no_room_for_sources_is_refused() -> None:
    talk = Conversation("why " * 300, (), "")

    with pytest.raises(ContextLengthExceeded) as caught:
        packed([passage("It is so.")], talk=talk, context=320, max_tokens=16)

    assert (caught.value.limit, caught.value.max_tokens) == (320, 16)


def test_a_title_that_would_keep_its_passage_out_is_cut_at_a_word() -> None:
    found = packed([passage("It is 5 m.", "long " * 3000), passage("Or 6.")])

    assert [used.title for used in found.passages] == [("long " * 48).strip(), ""]
    assert [used.text for used in found.passages] == ["It is 5 m.", "Or 6."]
    assert found.truncated is True


def test_a_title_takes_at_most_a_quarter_of_little_room() -> None:
    found = packed([passage("word " * 100, "long " * 100)], budget=40)

    assert tokens(found.passages[0].title) == 10
    assert tokens(found.passages[0].text) == 28


def test_a_title_that_fits_stays_whole() -> None:
    assert packed([passage("It is 5 m.", "long " * 100)]).passages[0].title == "long " * 100


def test_a_title_without_spaces_is_cut_by_characters() -> None:
    assert packed_by_characters([passage("It is 5 m.", "x" * 20000)]).passages[0].title == "x" * 48


def test_a_text_without_spaces_is_cut_by_characters_without_being_counted_for_each_cut() -> None:
    engine = Counting(Limits(1024, 65536, 512, 4096))

    found = pack(
        TALK,
        [passage("x" * 300_000, at=7)],
        engine=engine,
        condition=("direct",),
        max_tokens=8,
        max_context_tokens=None,
    )

    (used,) = found.passages
    assert 700 < len(used.text) < 1024
    assert used.text == "x" * len(used.text)
    assert (used.start_char, used.end_char) == (7, 7 + len(used.text))
    assert len(found.prompt.text) + 3 + 8 <= 1024
    assert engine.counted < 700_000


@pytest.mark.parametrize(
    "text", ["word " * 400_000, "It is so. " * 200_000, "x" * 2_000_000, "First. " + "x" * 1_000_000 + ". Last. " * 9]
)
def test_of_texts_that_are_thousands_of_times_too_long_no_more_is_counted_than_might_fit(text: str) -> None:
    engine = Measuring(Limits(1024, 65536, 512, 4096))
    brought = [passage(text, title=text), passage(text), passage(text)]

    found = pack(TALK, brought, engine=engine, condition=("direct",), max_tokens=8, max_context_tokens=None)

    (used,) = found.passages
    assert text.startswith(used.text)
    assert found.truncated is True
    assert engine.counted < 100_000


def test_a_long_passage_behind_one_that_fits_is_left_out_uncounted() -> None:
    engine = Measuring(Limits(1024, 65536, 512, 4096))
    brought = [passage("It is 5 m."), passage("word " * 400_000), passage("word " * 400_000)]

    found = pack(TALK, brought, engine=engine, condition=("direct",), max_tokens=8, max_context_tokens=None)

    assert [used.text for used in found.passages] == ["It is 5 m."]
    assert engine.counted < 1_000


def test_a_conversation_that_is_hopeless_by_its_length_alone_is_refused_uncounted() -> None:
    engine = Measuring(Limits(1024, 65536, 512, 4096))
    talk = Conversation("How long is it?", (Turn("user", "7 " * 1_000_000),), "")

    with pytest.raises(ContextLengthExceeded, match="at least 250002 tokens; the model reads at most 1024"):
        refuse_hopeless(talk, engine)

    assert engine.counted == 0


def test_one_that_may_fit_is_counted_to_the_token() -> None:
    engine = Measuring(Limits(1024, 65536, 512, 4096))

    refuse_hopeless(Conversation("x" * 1024, (), ""), engine)
    with pytest.raises(ContextLengthExceeded, match="The prompt is 1025 tokens"):
        refuse_hopeless(Conversation("x" * 1025, (), ""), engine)


def test_a_passage_of_which_nothing_fits_is_left_out_for_the_next() -> None:
    room = 20
    context = len(READ_THE_PASSAGES) + len(TALK.question) + 3 + 8 + room
    words = passage("Donaudampfschifffahrtsgesellschaft sails.", "Ships")

    found = packed_by_characters([words, passage("It is 5.")], context=context)

    assert [used.text for used in found.passages] == ["It is 5."]
    assert found.truncated is True


@pytest.mark.parametrize(
    ("file_id", "param", "named"), [(None, "documents[0]", "'documents[0]'"), ("f", "messages", "'Ships'")]
)
def test_when_nothing_fits_the_refusal_names_the_passage(file_id: str | None, param: str, named: str) -> None:
    context = len(READ_THE_PASSAGES) + len(TALK.question) + 3 + 8 + 20
    words = replace(passage("Donaudampfschifffahrtsgesellschaft sails.", "Ships"), file_id=file_id)

    with pytest.raises(InvalidRequest, match=r"Nothing of .* fits into the 20 tokens") as caught:
        packed_by_characters([words, words], context=context)

    assert (caught.value.param, caught.value.code) == (param, "context_length_exceeded")
    assert named in str(caught.value)


@given(
    lengths=st.lists(st.integers(1, 60), max_size=8),
    context=st.integers(110, 400),
    budget=st.integers(10, 400),
    max_tokens=st.integers(1, 60) | st.none(),
)
def test_a_prompt_always_fits_and_holds_a_beginning_of_the_list(
    lengths: list[int], context: int, budget: int, max_tokens: int | None
) -> None:
    passages = [passage("w " * length) for length in lengths]

    found = packed(passages, context=context, budget=budget, max_tokens=max_tokens)

    assert tokens(found.prompt.text) + 3 + (max_tokens or context // 4) <= context or not passages
    assert sum(tokens(used.text) for used in found.passages) <= budget
    whole = [used.text for used in found.passages] == [original.text for original in passages]
    assert found.truncated is not whole
    for used, original in zip(found.passages, passages, strict=False):
        assert original.text.startswith(used.text)
        assert used.end_char - used.start_char == len(used.text)


def test_messages_are_sorted_by_role() -> None:
    roles = ["system", "user", "assistant", "developer", "tool", "user"]
    talk = conversation([Message.model_validate({"role": role, "content": role}) for role in roles])

    assert talk.system == "system\n\ndeveloper"
    assert talk.turns == (Turn("user", "user"), Turn("assistant", "assistant"), Turn("tool", "tool"))
    assert talk.question == "user"
    assert talk.earlier_questions == ["user"]


def test_markers_of_earlier_answers_are_left_out() -> None:
    talk = conversation(
        [Message(role="assistant", content="28 days. [1] Or so."), Message(role="user", content="[1]?")]
    )

    assert (talk.turns[0].text, talk.question) == ("28 days. Or so.", "[1]?")


@pytest.mark.parametrize("spelled", [{}, {"content": None}, {"content": ""}])
def test_a_refusal_stands_for_the_content_that_it_came_without(spelled: dict[str, str | None]) -> None:
    refused = Message.model_validate({"role": "assistant", "refusal": "The documents do not say.", **spelled})

    talk = conversation([refused, Message(role="user", content="Why?")])

    assert talk.turns == (Turn("assistant", "The documents do not say."),)


def test_beside_a_content_a_refusal_has_no_effect() -> None:
    answered = Message(role="assistant", content="28 days.", refusal="No.")

    assert conversation([answered, Message(role="user", content="Why?")]).turns == (Turn("assistant", "28 days."),)


def test_a_conversation_ends_with_the_user() -> None:
    with pytest.raises(InvalidRequest) as caught:
        conversation([Message(role="user", content="x"), Message(role="assistant", content="y")])

    assert caught.value.param == "messages[1].role"
