"""Text to ids and back, without torch. Nothing in a text can become a control token."""

import codecs
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer as RustTokenizer

from hrm_model.errors import CheckpointError
from hrm_model.template import BEGIN_QUESTION, CONDITION_TOKENS, END_ANSWER, END_QUESTION, PAD

TOKENIZER_FILE = "tokenizer.json"
REQUIRED = (BEGIN_QUESTION, END_QUESTION, END_ANSWER, CONDITION_TOKENS["direct"])


class Tokenizer:
    """A checkpoint's byte-level BPE.

    HRM-Text was trained on text encoded with control tokens switched off, so that `<|im_end|>` inside a document
    is seven ordinary pieces. The encoder here has had its control tokens taken out, and cannot do otherwise.
    """

    def __init__(self, rust: RustTokenizer, controls: dict[str, int]) -> None:
        self._rust = rust
        self._controls = controls
        self._bytes = _token_bytes(rust, frozenset(controls.values()))

    @property
    def vocab_size(self) -> int:
        """One more than the largest id; a checkpoint's embedding may be padded beyond it."""
        return max(self._rust.get_vocab_size(), *(index + 1 for index in self._controls.values()))

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as plain text."""
        ids: list[int] = self._rust.encode(text, add_special_tokens=False).ids
        return ids

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text; many at once are counted in parallel."""
        return [len(one.ids) for one in self._rust.encode_batch_fast(list(texts), add_special_tokens=False)]

    def control(self, token: str) -> int:
        """The id of a control token such as `<|im_end|>`.

        Raises:
            KeyError: this checkpoint's tokenizer does not have it.
        """
        return self._controls[token]

    def token_bytes(self, token_id: int) -> bytes:
        """The UTF-8 bytes of one token, perhaps part of a character; empty for control tokens and padding ids."""
        return self._bytes[token_id] if 0 <= token_id < len(self._bytes) else b""

    def decode(self, ids: Iterable[int]) -> str:
        """Text of whole answers; incomplete characters become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def decoder(self) -> "IncrementalDecoder":
        """A decoder for one answer that arrives token by token."""
        return IncrementalDecoder(self)


class IncrementalDecoder:
    """Turns a stream of ids into text and never emits half a character."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """The characters that this token completes, possibly none."""
        return self._utf8.decode(self._tokenizer.token_bytes(token_id))

    def flush(self) -> str:
        """What is left when the answer ends: U+FFFD if it ended inside a character, else nothing."""
        return self._utf8.decode(b"", final=True)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load `folder/tokenizer.json`.

    Raises:
        CheckpointError: the file is missing or unreadable, is no byte-level BPE, or lacks a control token.
    """
    path = folder / TOKENIZER_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(path, "there is no such file") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(path, f"not readable as JSON: {error}") from error
    try:
        return _build(raw, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(path, f"not a tokenizer.json: {error!r}") from error


def _build(raw: dict[str, object], path: Path) -> Tokenizer:
    model, decoder = raw["model"], raw.get("decoder")
    if not isinstance(model, dict) or model.get("type") != "BPE" or not isinstance(model.get("vocab"), dict):
        raise CheckpointError(path, "model.type is not 'BPE'")
    if not isinstance(decoder, dict) or decoder.get("type") != "ByteLevel":
        raise CheckpointError(path, "decoder.type is not 'ByteLevel'")
    added = raw.get("added_tokens") or []
    if not isinstance(added, list):
        raise CheckpointError(path, "added_tokens is not a list")
    controls = {str(entry["content"]): int(entry["id"]) for entry in added}
    for token in (PAD, *REQUIRED, *CONDITION_TOKENS.values()):
        if token in model["vocab"]:
            controls.setdefault(token, int(model["vocab"][token]))
    if missing := [token for token in REQUIRED if token not in controls]:
        raise CheckpointError(path, f"control tokens are missing: {', '.join(missing)}")
    plain = {**raw, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    try:
        rust = RustTokenizer.from_str(json.dumps(plain))
    except Exception as error:  # the binding raises bare Exception for every malformed file
        raise CheckpointError(path, f"not a tokenizer.json: {error}") from error
    return Tokenizer(rust, controls)


def _token_bytes(rust: RustTokenizer, controls: frozenset[int]) -> list[bytes]:
    """Bytes of every id. Byte-level BPE writes each byte as one printable character."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in set(printable)]
    spelled = {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(rest)}
    vocabulary: dict[str, int] = rust.get_vocab(with_added_tokens=False)
    table = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, index in vocabulary.items():
        if index not in controls:
            table[index] = bytes(spelled[character] for character in token)
    return table
