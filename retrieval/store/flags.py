"""What was flagged in documents. A document that was read before there were flags has none."""

import json
from collections.abc import Sequence

from retrieval.store.database import Transaction
from retrieval.types import Flag

# A column for queries of `documents`: what is flagged in it, as a JSON list in the order of the text.
AS_JSON = """
    (SELECT json_group_array(json_array(kind, start_char, end_char) ORDER BY start_char, kind)
     FROM flags WHERE flags.document_no = documents.document_no)
"""


def put(tx: Transaction, document_no: int, flags: Sequence[Flag]) -> None:
    """Replace what is flagged in a document."""
    tx.run("DELETE FROM flags WHERE document_no = ?", document_no)
    tx.many(
        "INSERT INTO flags (document_no, kind, start_char, end_char) VALUES (?, ?, ?, ?)",
        [(document_no, flag.kind, flag.start, flag.end) for flag in flags],
    )


def from_json(stored: str) -> tuple[Flag, ...]:
    """Flags as `AS_JSON` gives them."""
    return tuple(Flag(kind, start, end) for kind, start, end in json.loads(stored))
