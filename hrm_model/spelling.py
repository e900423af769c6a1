"""A prompt to ids, and back to what a reader sees of them. Loads without torch."""

from hrm_model.errors import InvalidPrompt
from hrm_model.template import spell
from hrm_model.tokenizer import Tokenizer
from hrm_model.types import Prompt, Question, Spelled


def ids_of(prompt: Prompt, tokenizer: Tokenizer) -> tuple[list[int], int]:
    """The prompt's ids, and how many of them are read bidirectionally.

    Raises:
        InvalidPrompt: it has no ids, one outside the vocabulary, or an untrained condition.
    """
    if isinstance(prompt, Question):
        ids = spell(prompt, tokenizer)
        return ids, len(ids)
    if not prompt.ids or not 0 <= prompt.prefix_len <= len(prompt.ids):
        raise InvalidPrompt(f"{len(prompt.ids)} token ids with a prefix of {prompt.prefix_len}")
    if outside := [token for token in prompt.ids if not 0 <= token < tokenizer.vocab_size]:
        raise InvalidPrompt(f"token id {outside[0]} is outside the vocabulary of {tokenizer.vocab_size}")
    return list(prompt.ids), prompt.prefix_len


def least_ids(prompt: Prompt, tokenizer: Tokenizer) -> int:
    """How many ids the prompt has at the very least, told without spelling it."""
    if isinstance(prompt, Question):
        return tokenizer.least(prompt.text.strip()) + len(prompt.condition) + 2
    return len(prompt.ids)


class Speller:
    """Reads prompts back with a checkpoint's tokenizer. Implements the server's port; see server/ports.py."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def spelled(self, prompt: Prompt) -> Spelled:
        ids, _ = ids_of(prompt, self._tokenizer)
        text = prompt.text if isinstance(prompt, Question) else self._tokenizer.decode(ids)
        return Spelled(text, tuple(map(self._tokenizer.token_bytes, ids)), tuple(ids))
