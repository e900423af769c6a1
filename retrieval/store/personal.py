"""What a store does about personal data, what was found of it, and which originals are not kept for its sake.

A file that a redacting store has taken is redacted for ever, and one that another store has taken is whole for ever:
a file has one text, and nobody who may read a store can get at more than that.
"""

import json
from collections.abc import Mapping

from retrieval.errors import FileFormRefused, RedactionDecided, StoreNotEmpty
from retrieval.store.database import Transaction
from retrieval.types import PersonalData, PersonalDataKind, PersonalDataPolicy, Reader

# Of `documents`: what was found, as a JSON object of counts.
AS_JSON = """
    (SELECT json_group_object(kind, count) FROM personal_data WHERE personal_data.document_no = documents.document_no)
"""


def set_policy(tx: Transaction, store_no: int, policy: PersonalDataPolicy) -> None:
    """Say what a store does with files that are put into it from now on.

    Raises:
        StoreNotEmpty: it would begin or cease to redact, and holds files.
    """
    store_id, is_other = _compared(tx, store_no, policy)
    if is_other and tx.rows("SELECT 1 FROM documents WHERE store_no = ? LIMIT 1", store_no):
        raise StoreNotEmpty(store_id)
    tx.run("UPDATE stores SET personal_data = ? WHERE store_no = ?", policy, store_no)


def refuse_deciding(tx: Transaction, store_no: int, policy: PersonalDataPolicy, reader: Reader) -> None:
    """Refuse to let a store begin or cease to redact, unless to an admin: whether it is empty is told by that.

    Its owner, too, may not see the files in it that have lists of their own.

    Raises:
        RedactionDecided: it would, for somebody else.
    """
    store_id, is_other = _compared(tx, store_no, policy)
    if is_other and not all(one.is_admin for one in reader.each()):
        raise RedactionDecided(store_id)


def _compared(tx: Transaction, store_no: int, policy: PersonalDataPolicy) -> tuple[str, bool]:
    """A store's id, and whether by this policy it would begin or cease to redact."""
    ((store_id, before),) = tx.rows("SELECT store_id, personal_data FROM stores WHERE store_no = ?", store_no)
    return store_id, (policy == "redact") != (before == "redact")


def admit(tx: Transaction, store_no: int, file_no: int) -> PersonalDataPolicy:
    """The policy that a store will read a file under; from here on the file is whole or redacted.

    Raises:
        FileFormRefused: it is the other already, or it was redacted and can be read no more.
    """
    (policy,) = tx.rows("SELECT personal_data FROM stores WHERE store_no = ?", store_no)[0]
    wanted = "redacted" if policy == "redact" else "whole"
    ((file_id, form, original),) = tx.rows("SELECT file_id, form, original FROM files WHERE file_no = ?", file_no)
    if form not in (None, wanted) or original != "kept":
        raise FileFormRefused(file_id)
    tx.run("UPDATE files SET form = ? WHERE file_no = ?", wanted, file_no)
    found: PersonalDataPolicy = policy
    return found


def refuse_unreadable(tx: Transaction, file_no: int) -> None:
    """Raise FileFormRefused if a file is to be read again and its original was not kept."""
    ((file_id, original),) = tx.rows("SELECT file_id, original FROM files WHERE file_no = ?", file_no)
    if original != "kept":
        raise FileFormRefused(file_id)


def refuse_redacted(tx: Transaction, file_no: int) -> None:
    """Raise FileFormRefused if nobody may read a file as it came: a redacting store has it, whether read yet or not."""
    ((file_id, form),) = tx.rows("SELECT file_id, form FROM files WHERE file_no = ?", file_no)
    if form == "redacted":
        raise FileFormRefused(file_id)


def brought_again(tx: Transaction, document_no: int) -> None:
    """Note that the original of a file that could not be read was handed in once more."""
    tx.run(
        "UPDATE files SET original = 'kept' WHERE file_no = (SELECT file_no FROM documents WHERE document_no = ?)",
        document_no,
    )


def put(tx: Transaction, document_no: int, counts: Mapping[PersonalDataKind, int]) -> None:
    """Write down what was found in a document."""
    tx.many(
        "INSERT OR REPLACE INTO personal_data (document_no, kind, count) VALUES (?, ?, ?)",
        [(document_no, kind, count) for kind, count in counts.items()],
    )


def going(tx: Transaction) -> list[str]:
    """The ids of files whose originals are still to be unlinked."""
    return [row[0] for row in tx.rows("SELECT file_id FROM files WHERE original = 'going'")]


def are_gone(tx: Transaction, file_ids: list[str]) -> None:
    """Note that these originals are unlinked."""
    tx.run(
        "UPDATE files SET original = 'gone' WHERE original = 'going' AND file_id IN (SELECT value FROM json_each(?))",
        json.dumps(file_ids),
    )


def from_json(policy: PersonalDataPolicy, counts: str) -> PersonalData:
    return PersonalData(policy, json.loads(counts))
