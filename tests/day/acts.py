"""What people do all day. Each act is drawn by chance, and says what it expects."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from tests.day.notebook import TOPICS, Paper
from tests.day.people import Person
from tests.day.visitor import Visitor

FLOOR = "floor"  # the store that everybody uses, with files that are not for everybody
EMBEDDER = "all-MiniLM-L6-v2"
MOST_PAPERS = 60
Act = Callable[[Visitor, Person, str], Awaitable[None]]


async def ask_the_documents(visitor: Visitor, person: Person, model: str) -> None:
    """The same few questions by everybody: only the documents behind them differ."""
    random = visitor.random
    body = _question(f"What is the code of the {random.choice(TOPICS)} vault?", max_tokens=random.choice((4, 12, 24)))
    body |= {"model": f"{model}@{FLOOR}", "stream": random.random() < 0.5, "n": random.choice((1, 1, 1, 2))}
    if random.random() < 0.3:
        body |= {"model": model, "retrieval": {"vector_store_ids": [FLOOR], "max_num_results": 20}}
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    await visitor.ask(person, body)


async def ask_the_model(visitor: Visitor, person: Person, model: str) -> None:
    random = visitor.random
    body = _question(f"What is {random.randrange(100)}?", max_tokens=16, temperature=0.8)
    body |= {"model": f"{model}@none", "n": random.choice((1, 2, 3)), "stream": random.random() < 0.5}
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    await visitor.ask(person, body)


async def complete_a_text(visitor: Visitor, person: Person, model: str) -> None:
    body = {"model": model, "prompt": ["What is a vault?", "And a code?"], "max_tokens": 6, "n": 1}
    await visitor.ask(person, body, "/v1/completions")


async def leave_in_mid_stream(visitor: Visitor, person: Person, model: str) -> None:
    random = visitor.random
    body = _question(f"What is the code of the {random.choice(TOPICS)} vault?", max_tokens=200)
    body |= {"model": f"{model}@{random.choice((FLOOR, 'none'))}", "stream": True}
    await visitor.ask(person, body, leave_after=random.randrange(1, 9))


async def search(visitor: Visitor, person: Person, model: str) -> None:
    began, query = monotonic(), f"code of the {visitor.random.choice(TOPICS)} vault"
    body = {"query": [query, "desk"], "max_num_results": 20}
    answer = await visitor.send(person, "POST", f"/v1/vector_stores/{FLOOR}/search", json=body)
    if answer is not None and answer.status_code == 200:
        files = (hit["file_id"] for hit in answer.json()["data"])
        visitor.notebook.check_files(person, began, answer.headers["x-request-id"], "search", files)


async def hand_in(visitor: Visitor, person: Person, model: str) -> None:
    """Upload a paper for one of the person's groups or for nobody else, and most times put it into the store."""
    if len(visitor.notebook.kept()) >= MOST_PAPERS:
        await take_out(visitor, person, model)
        return
    if not person.may_write:
        form, files = {"purpose": "assistants"}, {"file": ("no.txt", b"no")}
        await visitor.send(person, "POST", "/v1/files", expected=(403,), data=form, files=files)
        return
    paper = visitor.notebook.new_paper(person, visitor.random.choice((*person.groups, None)))
    lists = visitor.notebook.access(paper)
    fields = {"purpose": "assistants"} | {f"access[{name}][]": listed for name, listed in lists.items() if listed}
    files = {"file": (paper.filename, paper.text.encode())}
    answer = await visitor.send(person, "POST", "/v1/files", what=f"upload {paper.number}", data=fields, files=files)
    if answer is not None and answer.status_code == 200:
        paper.file_id, paper.state = answer.json()["id"], "kept"
        if visitor.random.random() < 0.85:
            await _attach(visitor, person, paper)


async def _attach(visitor: Visitor, person: Person, paper: Paper) -> None:
    paper.attached = "asked"
    path, body = f"/v1/vector_stores/{FLOOR}/files", dict[str, Any](file_id=paper.file_id)
    if visitor.random.random() < 0.25:
        path, body = f"/v1/vector_stores/{FLOOR}/file_batches", {"file_ids": [paper.file_id]}
    # Its owner may have taken it out again meanwhile.
    answer = await visitor.send(person, "POST", path, what=f"attach {paper.number}", expected=(200, 404), json=body)
    if answer is not None and answer.status_code == 200:
        paper.attached = "yes"


async def take_out(visitor: Visitor, person: Person, model: str) -> None:
    if not (papers := visitor.notebook.kept(person)):
        return
    paper = visitor.random.choice(papers)
    paper.state = "asked to go"
    answer = await visitor.send(person, "DELETE", f"/v1/files/{paper.file_id}", what=f"delete {paper.number}")
    if answer is not None and answer.status_code == 200:
        paper.close_to_all_but(frozenset())
        paper.state = "gone"


async def withdraw(visitor: Visitor, person: Person, model: str) -> None:
    """Keep for oneself what was for a group."""
    papers = [paper for paper in visitor.notebook.kept(person) if len(paper.readers) > 1]
    if not papers:
        return
    paper = visitor.random.choice(papers)
    paper.withdrawal_asked = True
    portal = visitor.notebook.access(paper)["write"]
    access = {"read": portal, "write": portal}  # else its owner could not reach it through the portal either
    path, what = f"/v1/files/{paper.file_id}", f"withdraw {paper.number}"
    answer = await visitor.send(person, "POST", path, what=what, expected=(200, 404), json={"access": access})
    if answer is not None and answer.status_code == 200:
        paper.close_to_all_but(frozenset({paper.owner.principal}) & paper.readers)


async def read_a_paper(visitor: Visitor, person: Person, model: str) -> None:
    began = monotonic()
    papers = [paper for paper in visitor.notebook.kept() if paper.was_open_to(person, began)]
    if not papers:
        return
    paper = visitor.random.choice(papers)
    path = f"/v1/files/{paper.file_id}/content" + visitor.random.choice(("", "?form=original"))
    # It may go, or be withdrawn, between the choice and the answer.
    answer = await visitor.send(person, "GET", path, what=f"read {paper.number}", expected=(200, 404, 410))
    if answer is not None and answer.status_code == 200 and answer.text != paper.text:
        visitor.notebook.problem(answer.headers["x-request-id"], path, f"it holds {answer.text[:80]!r}")


async def pry(visitor: Visitor, person: Person, model: str) -> None:
    """Try to get at somebody else's paper: what is said must be what is said of one that does not exist."""
    began, random = monotonic(), visitor.random
    foreign = [paper for paper in visitor.notebook.papers if paper.file_id and not paper.was_open_to(person, began)]
    if not foreign:
        return
    file_id, absent = str(random.choice(foreign).file_id), "file-0123456789abcdef01234567"
    method, path, body = random.choice(
        (
            ("GET", f"/v1/files/{file_id}", None),
            ("GET", f"/v1/files/{file_id}/content", None),
            ("GET", f"/v1/files/{file_id}/content?form=original", None),
            ("GET", f"/v1/vector_stores/{FLOOR}/files/{file_id}", None),
            ("GET", f"/v1/vector_stores/{FLOOR}/files/{file_id}/content", None),
            ("DELETE", f"/v1/files/{file_id}", None),
            ("POST", f"/v1/vector_stores/{FLOOR}/files", {"file_id": file_id}),
        )
    )
    if not person.may_write and method != "GET":
        return
    # Who could read a paper until it was erased may be told that it was.
    expected = (
        (404, 410) if any(paper.file_id == file_id and person.names & _ever(paper) for paper in foreign) else (404,)
    )
    told = await visitor.send(person, method, path, what=f"pry {method} {path}", expected=expected, json=body)
    other = None if body is None else {"file_id": absent}
    same = await visitor.send(
        person, method, path.replace(file_id, absent), what=f"pry {method} absent", expected=(404,), json=other
    )
    if told is None or same is None or not told.status_code == same.status_code == 404:
        return
    if told.text.replace(file_id, absent) != same.text:
        visitor.notebook.problem(told.headers["x-request-id"], path, f"{told.text} differs from {same.text}")


def _ever(paper: Paper) -> frozenset[str]:
    return frozenset().union(*(names for names, _ in paper.reading))


async def be_refused(visitor: Visitor, person: Person, model: str) -> None:
    random, body = visitor.random, _question("What is the code?", model=model)
    match random.randrange(5):
        case 0:
            wrong = {**body, "temperature": "warm"}
            await visitor.send(person, "POST", "/v1/chat/completions", expected=(400,), json=wrong)
        case 1:
            unknown = {**body, "model": f"{model}@vs_none"}
            await visitor.send(person, "POST", "/v1/chat/completions", expected=(404,), json=unknown)
        case 2:
            too_long = _question("code " * 20_000, model=f"{model}@none")
            await visitor.send(person, "POST", "/v1/chat/completions", what="too long", expected=(400,), json=too_long)
        case 3:
            # Whose person is not known, is known itself, and on record.
            known, headers = visitor.office.portal, visitor.office.forged(person)
            is_known = person.is_behind_portal
            await visitor.send(
                known, "GET", "/v1/files", what="forged", expected=(401,), headers=headers, is_recorded=is_known
            )
        case _:
            for secret in visitor.office.ended[-1:]:
                headers = {"authorization": f"Bearer {secret}"}
                await visitor.send(person, "GET", "/v1/files", what="ended key", expected=(401,), headers=headers)


async def look_around(visitor: Visitor, person: Person, model: str) -> None:
    """Lists and counts hold what the person may read, and no trace of the rest."""
    began = monotonic()
    listed = await visitor.send(person, "GET", "/v1/files?limit=100")
    if listed is not None and listed.status_code == 200:
        files = (file["id"] for file in listed.json()["data"])
        visitor.notebook.check_files(person, began, listed.headers["x-request-id"], "list", files)
    began = monotonic()
    store = await visitor.send(person, "GET", f"/v1/vector_stores/{FLOOR}")
    if store is not None and store.status_code == 200:
        total = store.json()["file_counts"]["total"]
        most = sum(paper.was_open_to(person, began) for paper in visitor.notebook.papers)
        if total > most:
            visitor.notebook.problem(
                store.headers["x-request-id"], "count", f"{person.name} is told of {total} > {most}"
            )


async def embed(visitor: Visitor, person: Person, model: str) -> None:
    await visitor.send(person, "POST", "/v1/embeddings", json={"model": EMBEDDER, "input": ["vault", "desk"]})


ACTS: dict[Act, int] = {
    ask_the_documents: 8,
    ask_the_model: 4,
    complete_a_text: 2,
    leave_in_mid_stream: 4,
    search: 6,
    hand_in: 6,
    take_out: 2,
    withdraw: 1,
    read_a_paper: 3,
    pry: 4,
    be_refused: 3,
    look_around: 3,
    embed: 1,
}


async def act(visitor: Visitor, model: str) -> None:
    """Let somebody do something."""
    (chosen,) = visitor.random.choices(list(ACTS), weights=list(ACTS.values()))
    await chosen(visitor, visitor.random.choice(visitor.office.people), model)
    visitor.life.acts += 1


def _question(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}
