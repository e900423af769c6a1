"""The audit log held against what clients heard: nothing that one of them saw complete is missing or told otherwise."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server.audit.log import AuditLog
from server.audit.seal import salted
from server.building.records import open_audit, opened_ledger
from server.settings import Settings
from tests.day.notebook import Told
from tests.day.people import PORTAL


@contextmanager
def opened(data: Path) -> Iterator[AuditLog]:
    settings = Settings(data_dir=data)
    with opened_ledger(settings) as ledger:
        log = open_audit(settings, ledger)
        try:
            yield log
        finally:
            log.close()


def missing(data: Path, told: list[Told], killed: set[int]) -> list[str]:
    """What the chain says otherwise than clients heard it, or not at all.

    Args:
        killed: lives that ended by a kill; an answer of which nothing had come by then may be missing.
    """
    with opened(data) as log:
        records = defaultdict[str, list[tuple[int, dict[str, Any]]]](list)
        for entry in log.entries():
            record = json.loads(entry.record)
            records[record["request"]].append((entry.number, record))
        found = list[str]()
        for one in told:
            found += [f"{one.request} ({one.what}): {said}" for said in _wrong(log, one, records[one.request], killed)]
        unknown = records.keys() - {one.request for one in told}
    return [*found, *(f"{request}: nobody sent it" for request in sorted(unknown) if request.startswith("day-"))]


def _wrong(log: AuditLog, told: Told, records: list[tuple[int, dict[str, Any]]], killed: set[int]) -> Iterator[str]:
    if told.is_recorded is False and records:
        yield "it has a record, and should not"
    must = told.is_recorded and (told.is_begun or told.what != "answer" or told.life not in killed)
    if len(records) > 1 or (must and not records):
        yield f"it has {len(records)} records"
    for number, record in records:
        application = record["application"] and record["application"]["caller"]
        who = (record["caller"], application, record["groups"])
        person = told.person
        if who != (
            person.principal,
            PORTAL if person.is_behind_portal else None,
            sorted(f"group:{group}" for group in person.groups),
        ):
            yield f"it was {person.name}, the record says {who}"
        if told.what != "answer":
            if told.status not in (None, record["status"]):
                yield f"it was answered {told.status}, the record says {record['status']}"
        elif told.is_whole:
            yield from _wrong_answer(log, told, number, record)
        elif record["outcome"] == "cut off" and told.life not in killed:
            yield "its server was not killed, the record says cut off"
        elif told.was_left and record["outcome"] not in ("left", "answered", "cut off"):
            yield f"its client left, the record says {record['outcome']}"


def _wrong_answer(log: AuditLog, told: Told, number: int, record: Mapping[str, Any]) -> Iterator[str]:
    if record["kind"] != "answer" or record["outcome"] != "answered":
        yield f"it was answered, the record says {record['kind']} {record['outcome']}"
    tokens = (record["tokens"].get("prompt"), record["tokens"].get("completion"))
    if told.tokens not in (None, tokens):
        yield f"it took {told.tokens} tokens, the record says {tokens}"
    if [choice["ended"] for choice in record["choices"]] != [end for _, end in told.choices]:
        yield f"it ended {told.choices}, the record says {record['choices']}"
    if list(told.cited) != list(dict.fromkeys(passage["file"] for passage in record["passages"] or ())):
        yield f"it cited {told.cited}, the record says {record['passages']}"
    salt = log.salt(number)
    assert salt is not None, "nothing was erased from the log"
    hashes = [record["hashes"].get(f"answer_{at}") for at in range(len(told.choices))]
    if hashes != [salted(salt, text) for text, _ in told.choices]:
        yield "its text is another one than the record's"
