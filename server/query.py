"""What to look up for the last message of a conversation."""

from collections.abc import Sequence

from server.grounding.words import content_keys, words

_CONNECTIVES = ("and ", "but ", "or ", "so ", "then ", "also ", "what about ", "how about ")
_PRONOUNS = {
    *("it", "its", "they", "them", "their", "theirs", "he", "him", "his", "she", "her", "hers"),
    *("that", "this", "these", "those", "there"),
}
# A question with fewer words of its own cannot be looked up alone: "How long?", "For contractors?"
_ENOUGH_WORDS = 3
# Characters. A longer message stands alone, and no more of one is worth repeating: embedders read about as much.
_LONGEST = 1200


def rewrite_query(question: str, earlier: Sequence[str]) -> str:
    """Make a question stand alone: join a follow-up with the content words of the user's turn before.

    Args:
        earlier: the user's messages before `question`, oldest first.
    """
    question = " ".join(question.split())
    if not earlier or not _is_follow_up(question):
        return question
    known = content_keys(question)
    added: dict[str, str] = {}
    before = earlier[-1][:_LONGEST]
    subject = content_keys(before)
    for word in words(before):
        if word.key in subject and word.key not in known:
            added.setdefault(word.key, word.text)
    return " ".join([question, *added.values()])


def _is_follow_up(question: str) -> bool:
    if len(question) > _LONGEST:
        return False
    folded = question.casefold()
    return (
        folded.startswith(_CONNECTIVES)
        or len(content_keys(question)) < _ENOUGH_WORDS
        or any(word.text.casefold() in _PRONOUNS for word in words(question))
    )
