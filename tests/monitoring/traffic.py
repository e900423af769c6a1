"""Some minutes in the life of a server: people who ask, hurry and leave, clients that are wrong, files that come.

Everything is drawn from one seed; how far it gets in a minute is the machine's affair.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from server.commands.samples import SAMPLES
from tests.e2e.handbook import QUESTIONS

MODEL = "hrm-text-mini"
STORE = "handbook"
CHAT = "/v1/chat/completions"
_ANSWERABLE = [one["question"] for one in (*QUESTIONS["questions"], *QUESTIONS["more"])]
_UNANSWERABLE = [one["question"] for one in (*QUESTIONS["unanswerable"], *QUESTIONS["more_unanswerable"])]
_PAGES = [path.read_text(encoding="utf-8") for path in sorted(SAMPLES.glob("*.md"))]
# How many people ask at the same time, as the minutes pass: a morning, a noon and an evening.
_ASKING = (1, 1, 2, 4, 6, 5, 3, 2, 1, 1)


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets of the callers."""

    admin: str
    eager: str  # with few requests a minute, and no patience


async def live(url: str, keys: Keys, seconds: float, *, seed: int = 0) -> None:
    """Let everybody in for some time, then wait until the last one is done."""
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    began = loop.time()
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {keys.admin}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, limits=limits) as client:
        store = (await client.post("/v1/vector_stores", json={"name": STORE})).json()["id"]
        for page in sorted(SAMPLES.iterdir()):
            await _put_in(client, store, page.name, page.read_bytes(), kind="page")

        async def again(act: Callable[[], Awaitable[object]], pause_s: float, place: int = 0) -> None:
            while (gone := loop.time() - began) < seconds:
                if place < _ASKING[int(gone / seconds * len(_ASKING))]:
                    await act()
                await asyncio.sleep(chance.uniform(0.5, 1.5) * pause_s)

        async with asyncio.TaskGroup() as everybody:
            for place in range(max(_ASKING)):
                everybody.create_task(again(lambda: _ask(client, chance), 2.0, place))
            everybody.create_task(again(lambda: _hurry(client, keys.eager), 6.0))
            everybody.create_task(again(lambda: _be_wrong(client, chance), 3.0))
            everybody.create_task(again(lambda: _file(client, chance, store), seconds / 25))


async def _ask(client: httpx.AsyncClient, chance: random.Random) -> None:
    body: dict[str, Any] = {"model": MODEL, "stream": True}
    draw = chance.random()
    if draw < 0.15:
        text = chance.choice(_UNANSWERABLE)
    elif draw < 0.3:  # a whole handbook page to read, without retrieval
        body |= {"model": f"{MODEL}@none", "max_tokens": 60}
        text = chance.choice(_PAGES)[:1000]
    else:
        text = chance.choice(_ANSWERABLE)
    if chance.random() < 0.1:
        body |= {"max_tokens": 6}
    body["messages"] = [{"role": "user", "content": text}]
    leaves_early = chance.random() < 0.08
    async with client.stream("POST", CHAT, json=body) as response:
        async for line in response.aiter_lines():
            if leaves_early and line:
                return


async def _hurry(client: httpx.AsyncClient, key: str) -> None:
    """More at once than a key is allowed in a minute."""
    body = {"model": f"{MODEL}@none", "max_tokens": 8, "messages": [{"role": "user", "content": _ANSWERABLE[0]}]}
    await asyncio.gather(*(client.post(CHAT, json=body, headers={"Authorization": f"Bearer {key}"}) for _ in range(4)))


async def _be_wrong(client: httpx.AsyncClient, chance: random.Random) -> None:
    """A request as they come from programs that are not finished."""
    match chance.randrange(5):
        case 0:
            await client.post(CHAT, content=b'{"model": ')
        case 1:
            await client.get("/v1/engines")
        case 2:
            await client.get("/v1/models", headers={"Authorization": "Bearer hrm_of-somebody-who-left"})
        case 3:
            await client.get("/v1/models", headers={"x-filler": "x" * 40_000})
        case _:
            await client.post(CHAT, content=b" " * (5 << 20))


async def _file(client: httpx.AsyncClient, chance: random.Random, store: str) -> None:
    """Hand some files in, one of them broken now and then, and delete one of those that came before."""
    for _ in range(chance.randrange(1, 4)):
        name, content = _letter(chance)
        await _put_in(client, store, name, content)
    held = (await client.get(f"/v1/vector_stores/{store}/files", params={"limit": 100})).json()["data"]
    letters = [one["id"] for one in held if one["attributes"].get("kind") == "letter"]
    await client.delete(f"/v1/files/{chance.choice(letters)}")


async def _put_in(client: httpx.AsyncClient, store: str, name: str, content: bytes, kind: str = "letter") -> None:
    form = {"purpose": "assistants"}
    file = (await client.post("/v1/files", files={"file": (name, content)}, data=form)).json()["id"]
    await client.post(f"/v1/vector_stores/{store}/files", json={"file_id": file, "attributes": {"kind": kind}})


def _letter(chance: random.Random) -> tuple[str, bytes]:
    number = chance.randrange(10**6)
    if chance.random() < 0.15:
        return f"letter-{number}.pdf", b"%PDF-1.7 and nothing behind it"
    text = "\n\n".join(chance.choice(_PAGES) for _ in range(chance.randrange(1, 4)))
    return f"letter-{number}.txt", f"Letter {number}.\n\n{text}".encode()
