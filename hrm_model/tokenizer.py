"""Text to ids and back, without torch. Nothing in a text can become a control token."""

import codecs
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer as RustTokenizer
from tokenizers import normalizers

from hrm_model.errors import CheckpointError
from hrm_model.template import BEGIN_QUESTION, CONDITION_TOKENS, END_ANSWER, END_QUESTION, PAD

TOKENIZER_FILE = "tokenizer.json"
REQUIRED = (BEGIN_QUESTION, END_QUESTION, END_ANSWER, CONDITION_TOKENS["direct"])

# Byte-level BPE writes each byte as one printable character: itself where it is one, else from U+0100 on.
_PRINTABLE = (*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1))
_OTHERS = [byte for byte in range(256) if byte not in _PRINTABLE]
_SPELLED = {chr(byte): byte for byte in _PRINTABLE} | {chr(256 + index): byte for index, byte in enumerate(_OTHERS)}
_IN_UTF8 = {*range(0xC0), *range(0xC2, 0xF5)}
_NFC_SHRINKS = 3  # times at most, in UTF-8, as Unicode's annex 15 says
_PROBE = " a 1\n é 東 🙂."  # begins with a space, as some pre-tokenizers put one there


class Tokenizer:
    """A checkpoint's byte-level BPE.

    HRM-Text was trained on text encoded with control tokens switched off, so that `<|im_end|>` inside a document
    is seven ordinary pieces. The encoder here has had its control tokens taken out, and cannot do otherwise.
    """

    def __init__(self, rust: RustTokenizer, controls: dict[str, int]) -> None:
        self._rust = rust
        self._controls = controls
        self._bytes = _token_bytes(rust)
        longest = max(map(len, self._bytes), default=1)
        self._most_bytes = longest * _NFC_SHRINKS if isinstance(rust.normalizer, normalizers.NFC) else longest
        self._keeps_length = rust.normalizer is None or isinstance(rust.normalizer, normalizers.NFC)

    @property
    def vocab_size(self) -> int:
        """One more than the largest id; a checkpoint's embedding may be padded beyond it."""
        return max(len(self._bytes), *(index + 1 for index in self._controls.values()))

    def encode(self, text: str) -> list[int]:
        """Ids of `text` as plain text."""
        ids: list[int] = self._rust.encode(text, add_special_tokens=False).ids
        return ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of `text`, and where in it each begins and ends, in characters."""
        encoded = self._rust.encode(text, add_special_tokens=False)
        return encoded.ids, encoded.offsets

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text; many at once are counted in parallel."""
        return [len(one.ids) for one in self._rust.encode_batch_fast(list(texts), add_special_tokens=False)]

    def least(self, text: str) -> int:
        """Tokens that `text` has at the very least; its length alone says so, at once.

        0 where a normalizer other than NFC may make any text short.
        """
        return -(-len(text.encode("utf-8", "surrogatepass")) // self._most_bytes) if self._keeps_length else 0

    def control(self, token: str) -> int:
        """The id of a control token such as `<|im_end|>`.

        Raises:
            KeyError: this checkpoint's tokenizer does not have it.
        """
        return self._controls[token]

    def has_control(self, token: str) -> bool:
        """Say whether this checkpoint has a control token; only those of `REQUIRED` are certain."""
        return token in self._controls

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
    except (KeyError, TypeError, AttributeError, ValueError) as error:
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
    # Out of the vocabulary as well: a word that equals a token can be taken whole, without any merge.
    vocabulary = {token: index for token, index in model["vocab"].items() if token not in controls}
    _check_ids(controls, model["vocab"], path)
    bare = {**model, "vocab": vocabulary, "unk_token": None}
    plain = {**raw, "model": bare, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    try:
        rust = RustTokenizer.from_str(json.dumps(plain))
    except Exception as error:  # the binding raises bare Exception for every malformed file
        raise CheckpointError(path, f"not a tokenizer.json: {error}") from error
    if alien := [token for token in vocabulary if not set(token) <= _SPELLED.keys()]:
        raise CheckpointError(path, f"no byte-level BPE: the token {alien[0]!r} does not spell bytes")
    if lacking := [byte for character, byte in _SPELLED.items() if byte in _IN_UTF8 and character not in vocabulary]:
        raise CheckpointError(path, f"no byte-level BPE: the byte 0x{min(lacking):02X} has no token")
    tokenizer = Tokenizer(rust, controls)
    if (back := tokenizer.decode(tokenizer.encode(_PROBE))) != _PROBE:
        raise CheckpointError(path, f"no byte-level BPE: {_PROBE!r} comes back as {back!r}")
    return tokenizer


def _check_ids(controls: dict[str, int], vocabulary: dict[str, int], path: Path) -> None:
    """Refuse ids with two meanings: one of them could end the prompt from within a text."""
    meanings: dict[int, str] = {}
    for token, index in (*controls.items(), *vocabulary.items()):
        if controls.get(token, index) != index:
            raise CheckpointError(path, f"{token} is {controls[token]} in added_tokens, but {index} in model.vocab")
        if meanings.setdefault(index, token) != token:
            raise CheckpointError(path, f"id {index} stands for both {meanings[index]!r} and {token!r}")


def _token_bytes(rust: RustTokenizer) -> list[bytes]:
    """Bytes of every id; none for those that are not in the vocabulary."""
    vocabulary: dict[str, int] = rust.get_vocab(with_added_tokens=False)
    table = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, index in vocabulary.items():
        table[index] = bytes(_SPELLED[character] for character in token)
    return table
