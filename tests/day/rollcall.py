"""A look at everything while nobody does anything: what was promised is there, what has gone is gone."""

import asyncio
from time import monotonic
from typing import Any

from tests.day.acts import FLOOR
from tests.day.notebook import Paper
from tests.day.people import Person
from tests.day.visitor import Visitor

# A purge of a small store takes a fraction of it; the machine may be busy.
_PATIENCE_S = 60


async def call_the_roll(visitor: Visitor) -> None:
    """Find out what became of what was asked for when the server went, and hold the rest against what was promised."""
    notebook = visitor.notebook
    for paper in notebook.papers:
        if not paper.is_certified:
            await _settle(visitor, paper)
    for person in visitor.office.people:
        files = {file["id"] for file in await _listed(visitor, person, "/v1/files")}
        mine = [paper for paper in notebook.papers if paper.state == "kept" and paper.readers & person.names]
        if files != {paper.file_id for paper in mine}:
            notebook.problem(
                "-", "roll call", f"{person.name} has the files {sorted(files)}, not {[p.file_id for p in mine]}"
            )
        store = await _got(visitor, person, f"/v1/vector_stores/{FLOOR}")
        assert store is not None, "it is everybody's"
        held = [paper for paper in mine if paper.attached == "yes"]
        if (total := store["file_counts"]["total"]) != len(held):
            notebook.problem("-", "roll call", f"{person.name} is told of {total} files in the store, not {len(held)}")
        if not held and store["usage_bytes"] != 0:
            notebook.problem("-", "roll call", f"{person.name} is told of {store['usage_bytes']} bytes of nothing")


async def _settle(visitor: Visitor, paper: Paper) -> None:
    if paper.state == "asked":
        named = [f["id"] for f in await _listed(visitor, paper.owner, "/v1/files") if f["filename"] == paper.filename]
        paper.state = "kept" if named else "gone"
        paper.file_id = named[0] if named else None
    if paper.file_id is None:
        return
    file = await _got(visitor, paper.owner, f"/v1/files/{paper.file_id}")
    if paper.state == "asked to go":
        paper.state = "gone" if file is None else "kept"
        if file is None:
            paper.close_to_all_but(frozenset())
    if (file is None) == (paper.state == "kept"):
        visitor.notebook.problem("-", "roll call", f"{paper.filename} ({paper.file_id}) is {paper.state}: {file}")
    if file is None:
        return
    if (
        paper.withdrawal_asked
        and len(paper.readers) > 1
        and not any("group:" in name for name in file["access"]["read"])
    ):
        paper.close_to_all_but(frozenset({paper.owner.principal}))
    paper.withdrawal_asked = False
    if paper.attached == "asked":
        held = await _got(visitor, paper.owner, f"/v1/vector_stores/{FLOOR}/files/{paper.file_id}")
        paper.attached = "no" if held is None else "yes"


async def check_promises(visitor: Visitor) -> None:
    """Every paper that is there is found by its readers, none that has gone by anybody; every erasure is certified."""
    deadline = monotonic() + _PATIENCE_S
    await call_the_roll(visitor)
    for paper in visitor.notebook.kept():
        if paper.attached == "yes":
            await _wait_until_read(visitor, paper, deadline)
    for paper in visitor.notebook.papers:
        for person in visitor.office.people if not paper.is_certified else ():
            await _look_for(visitor, paper, person)
    await _wait_until_certified(visitor, deadline)


async def _wait_until_read(visitor: Visitor, paper: Paper, deadline: float) -> None:
    path = f"/v1/vector_stores/{FLOOR}/files/{paper.file_id}"
    while True:
        held = await _got(visitor, paper.owner, path)
        if held is None or held["status"] != "in_progress" or monotonic() > deadline:
            break
        await asyncio.sleep(0.1)
    if held is None or held["status"] != "completed":
        visitor.notebook.problem("-", "roll call", f"{paper.filename} was put into the store and is not read: {held}")


async def _look_for(visitor: Visitor, paper: Paper, person: Person) -> None:
    body = {"query": paper.canary, "max_num_results": 50}
    path, echo = f"/v1/vector_stores/{FLOOR}/search", f'"search_query":["{paper.canary}"]'
    found = await visitor.send(person, "POST", path, what="roll call", json=body, echo=echo)
    is_found = found is not None and paper.canary in str(found.json()["data"])
    is_due = paper.state == "kept" and paper.attached == "yes" and bool(paper.readers & person.names)
    if is_found != is_due:
        said = "found" if is_found else "not found"
        visitor.notebook.problem("-", "roll call", f"{paper.filename} ({paper.state}) is {said} by {person.name}")


async def _wait_until_certified(visitor: Visitor, deadline: float) -> None:
    gone = {paper.file_id: paper for paper in visitor.notebook.papers if paper.state == "gone" and paper.file_id}
    while True:
        records = await _listed(visitor, visitor.office.admin, "/v1/erasures")
        certified = {record["file_id"] for record in records if record["status"] == "certified"}
        if certified == gone.keys() or monotonic() > deadline:
            break
        await asyncio.sleep(0.2)
    if certified != gone.keys():
        visitor.notebook.problem(
            "-", "roll call", f"certified are {sorted(certified)}, gone are {sorted(map(str, gone))}"
        )
    for paper in gone.values():
        paper.is_certified = paper.file_id in certified


async def _got(visitor: Visitor, person: Person, path: str) -> dict[str, Any] | None:
    answer = await visitor.send(person, "GET", path, what="roll call", expected=(200, 404))
    assert answer is not None, "the server is there"
    return answer.json() if answer.status_code == 200 else None


async def _listed(visitor: Visitor, person: Person, path: str) -> list[dict[str, str]]:
    """All pages of a list."""
    found: list[dict[str, str]] = []
    after = ""
    while True:
        answer = await visitor.send(person, "GET", f"{path}?limit=100{after}", what="roll call")
        assert answer is not None, "the server is there"
        page = answer.json()
        found += page["data"]
        if not page["has_more"]:
            return found
        after = f"&after={page['last_id']}"
