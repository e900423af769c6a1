"""The smallest tokenizer.json that can be served: a token per byte, two merges, the released control ids.

Written by hand rather than trained, so that ids in tests and goldens never move: byte b is id 16 + b.
"""

import json
from pathlib import Path
from typing import Any

from hrm_model.tokenizer import TOKENIZER_FILE, Tokenizer, load_tokenizer

FIRST_BYTE = 16
CONTROLS = {
    "<|endoftext|>": 5,
    "<|im_start|>": 6,
    "<|im_end|>": 7,
    "<|object_ref_start|>": 8,
    "<|object_ref_end|>": 9,
    "<|box_end|>": 11,
    "<|quad_start|>": 12,
    "<|quad_end|>": 13,
}
MERGED = {"th": FIRST_BYTE + 256, "the": FIRST_BYTE + 257}


def byte_characters() -> list[str]:
    """The printable character of each byte, in the order of the bytes."""
    # Printable Latin-1 stands for itself; the other bytes follow from U+0100 on, in their own order.
    others = iter(range(0x100, 0x200))
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def byte_tokenizer() -> dict[str, Any]:
    """A fresh tokenizer.json as a dictionary, to be changed at will."""
    vocab = {character: FIRST_BYTE + byte for byte, character in enumerate(byte_characters())}
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": index,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token, index in CONTROLS.items()
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": {**CONTROLS, **vocab, **MERGED}, "merges": [["t", "h"], ["th", "e"]]},
    }


def write_tokenizer(folder: Path, raw: object) -> Path:
    """Put a tokenizer.json into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER_FILE).write_text(json.dumps(raw), encoding="utf-8")
    return folder


def load(folder: Path) -> Tokenizer:
    """The byte tokenizer, by way of a file in `folder`."""
    return load_tokenizer(write_tokenizer(folder, byte_tokenizer()))
