"""An application that acts for people: each has their own rights and never more than the application's."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import astuple, replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retrieval.types import Attachment, Reader
from server.app import bare_app, create_app
from server.audit.log import AuditLog
from server.identity import Limits
from server.jwks import KeyFile
from server.signing import Signer
from server.tokens import BearerTokens, TokenRules
from tests.e2e.reaching import NOTHING, Held
from tests.fakes.serving import MODEL, question
from tests.identity_provider import AUDIENCE, ISSUER, Provider
from tests.retrieval.desk import write
from tests.server.site import Site, site

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
PROVIDER = Provider()
ROOT = Reader(frozenset({"user:root"}), is_admin=True)
SECRET = {"claims": "The claims reserve is 4711 crowns.", "board": "The board bonus is 9999 crowns."}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """Two stores for a group each, and one for everybody whom the portal serves; the portal may read all three."""
    file = PROVIDER.publish(tmp_path / "jwks.json")
    rules = TokenRules(ISSUER, AUDIENCE, frozenset({"RS256"}), roles_claim="roles")
    async with site(tmp_path, default_store="common", tokens=BearerTokens(rules, KeyFile(file))) as opened:
        await opened.stock("common", "Everybody may park in the yard.", "*")
        for name, text in SECRET.items():
            await opened.stock(name, text, f"group:{name}", "user:portal")
        yield opened


async def held_by(here: Site, store: str) -> Held:
    (document,) = await here.library.documents(store, ROOT)
    batch = await here.library.archive.start_batch(store, [Attachment(document.file_id)], ROOT)
    return Held(document.store_id, document.file_id, batch.batch_id)


def portal(here: Site, *roles: str, **rights: list[str]) -> str:
    """The secret of the application's key."""
    given = roles or ("ask", "ingest", "act-for")
    return here.ledger.keys.create(
        principal="user:portal", roles=given, allowed_stores=rights.get("stores", ()), groups=rights.get("groups", ())
    )[1]


def acting(here: Site, secret: str, person: str, *groups: str) -> httpx.AsyncClient:
    token = PROVIDER.token(person, *groups, roles=["ask", "ingest"])
    return here.client(secret, {"X-On-Behalf-Of": f"Bearer {token}"})


def looks(foreign: Held) -> list[str]:
    """Every path that is read from, with the ids of somebody else's in it, and those in a store of one's own."""
    described = [path for path, operations in bare_app().openapi()["paths"].items() if "get" in operations]
    return sorted(
        path.format(
            store=store, file_id=foreign.file, batch_id=foreign.batch, model=f"{MODEL}@{store}", erasure_id="erasure_x"
        )
        for path in described
        if path.startswith("/v1/")
        for store in ({foreign.store, "common"} if "{store}" in path else {foreign.store})
    )


async def seen(client: httpx.AsyncClient, foreign: Held) -> str:
    """Everything that a person can be told, by every route that reads, about what is somebody else's."""
    store, file, batch = foreign.store, foreign.file, foreign.batch
    asked = [question("How many crowns is the bonus or the reserve?", model=f"{MODEL}@{store}")]
    asked.append(question("How many crowns?", retrieval={"vector_store_ids": ["common", store]}))
    answers = [await client.post(CHAT, json={**body, "stream": stream}) for body in asked for stream in (False, True)]
    places = [f"/v1/files/{file}/content?form=original", f"/v1/files?after={file}", f"/v1/vector_stores?after={store}"]
    for path in (*looks(foreign), *places):
        answers.append(await client.get(path))
    for name in (store, "common"):
        answers.append(await client.post(f"/v1/vector_stores/{name}/search", json={"query": "crowns bonus reserve"}))
        answers.append(await client.post(f"/v1/vector_stores/{name}/file_batches/{batch}/cancel"))
    answers.append(await client.post(f"/v1/vector_stores/{store}/files", json={"file_id": file}))
    answers.append(await client.post("/v1/vector_stores", json={"name": "mine", "file_ids": [file]}))
    answers.append(await client.delete(f"/v1/files/{file}"))
    answers.append(await client.delete(f"/v1/vector_stores/{store}"))
    return "\n".join(answer.text for answer in answers)


async def test_nothing_of_another_person_behind_the_same_key_reaches_a_person(here: Site) -> None:
    secret = portal(here)
    people = {"claims": acting(here, secret, "anna", "claims"), "board": acting(here, secret, "ben", "board")}
    held = {name: await held_by(here, name) for name in SECRET}
    async with AsyncExitStack() as opened:
        clients = {name: await opened.enter_async_context(client) for name, client in people.items()}
        for mine, other in (("claims", "board"), ("board", "claims")):
            client, foreign = clients[mine], held[other]
            at = len(here.engine.prompts)
            own = await client.post(CHAT, json=question("How many crowns?", model=f"{MODEL}@{mine}"))
            told = await seen(client, foreign)
            stores = {store["name"] for store in (await client.get("/v1/vector_stores")).json()["data"]}
            files = {file["filename"] for file in (await client.get("/v1/files")).json()["data"]}

            assert own.json()["choices"][0]["message"]["context"]["citations"][0]["content"] == SECRET[mine]
            assert (stores, files) == ({"common", mine}, {"common.txt", f"{mine}.txt"})
            number = {"claims": "4711", "board": "9999"}[other]
            for word in (number, f"{other}.txt"):
                assert word not in told
            # Ids of the other's come back in errors alone, as they were sent, and as for ids that do not exist.
            absent = await seen(client, NOTHING)
            assert [told.count(mine) for mine in astuple(foreign)] == [absent.count(none) for none in astuple(NOTHING)]
            assert number not in str(here.engine.prompts[at:])
    assert len(set(here.engine.partitions)) == 2, "no prompt of one is found again for the other"


@pytest.mark.parametrize("stream", [False, True])
async def test_what_one_person_puts_in_moves_no_number_that_another_is_told(here: Site, stream: bool) -> None:
    annas = Reader(frozenset({"user:anna", "user:portal", "*"}))

    async def told(client: httpx.AsyncClient) -> list[str]:
        body = question("How many crowns?", retrieval={"vector_store_ids": ["common", "board"]}, stream=stream)
        answer = await client.post(CHAT, json=body)
        page = await client.post("/v1/vector_stores/common/search", json={"query": "park"})
        return [re.sub(r'chatcmpl-\w+|"created":\d+', "", answer.text), page.text]

    async with acting(here, portal(here), "ben", "board") as ben:
        await told(ben)  # his own prompt is found again from here on
        before = await told(ben)
        await here.library.ingest(write(here.folder, "anna.txt", "Anna has crowns."), store="annas", reader=annas)
        after = await told(ben)

    assert SECRET["board"] in before[0]
    assert before == after


async def test_a_person_has_no_more_than_the_application(here: Site) -> None:
    await here.stock("private", "Anna's diary says 1234 crowns.", "user:anna")
    async with acting(here, portal(here), "anna", "claims") as client:
        hidden = await client.get("/v1/vector_stores/private")
        absent = await client.get("/v1/vector_stores/absent")
    async with here.client(PROVIDER.token("anna", "claims", roles=["ask"])) as herself:
        own = await herself.get("/v1/vector_stores/private")
    async with acting(here, portal(here, stores=["common"]), "anna", "claims") as limited:
        claims = await limited.get("/v1/vector_stores/claims")
        common = await limited.get("/v1/vector_stores/common")

    assert hidden.status_code == 404
    assert hidden.text.replace("private", "absent") == absent.text
    assert (own.status_code, claims.status_code, common.status_code) == (200, 404, 200)


async def test_roles_are_those_of_both(here: Site) -> None:
    async def status(secret: str, *roles: str) -> list[int]:
        token = PROVIDER.token("anna", roles=list(roles))
        async with here.client(secret, {"X-On-Behalf-Of": f"Bearer {token}"}) as client:
            asked = await client.post(CHAT, json=question("Where may I park?"))
            made = await client.post("/v1/vector_stores", json={"name": "mine"})
            return [asked.status_code, made.status_code, (await client.get("/metrics")).status_code]

    assert await status(portal(here), "ask", "ingest", "metrics") == [200, 200, 403]
    assert await status(portal(here), "ask") == [200, 403, 403]
    assert await status(portal(here), "admin") == [200, 200, 403]
    assert await status(portal(here, "act-for")) == [403, 403, 403]
    assert await status(portal(here, "act-for", "admin"), "ask") == [200, 403, 403]


async def test_what_a_person_puts_in_through_the_application_is_there_for_that_person(here: Site) -> None:
    secret = portal(here)
    async with acting(here, secret, "anna", "claims") as anna, acting(here, secret, "ben", "claims") as ben:
        store = (await anna.post("/v1/vector_stores", json={"name": "mine"})).json()["id"]
        form = {"file": ("note.txt", b"My own note says 5555 crowns.")}
        file = (await anna.post("/v1/files", files=form, data={"purpose": "assistants"})).json()
        held = await anna.post(f"/v1/vector_stores/{store}/files", json={"file_id": file["id"]})
        others = [await ben.get(f"/v1/files/{file['id']}"), await ben.get(f"/v1/vector_stores/{store}")]
        gone = await anna.delete(f"/v1/files/{file['id']}")
        erased = (await anna.get("/v1/erasures")).json()["data"]

    assert held.status_code == 200
    assert file["access"] == {"read": ["user:anna", "user:portal"], "write": ["user:anna", "user:portal"]}
    assert [answer.status_code for answer in others] == [404, 404]
    assert gone.json()["deleted"]
    assert erased == [], "a certificate is the person's, and the application has no part in it"


async def test_what_is_left_of_the_applications_limits_is_told_to_it_and_to_none_of_its_people(here: Site) -> None:
    policy = replace(
        here.services.policy, key_limits=Limits(requests_per_minute=50), person_limits=Limits(requests_per_minute=40)
    )
    here.services = replace(here.services, policy=policy)
    app, secret = create_app(here.services), portal(here)  # one process, so that the counts of both meet in it

    async def left(person: str | None) -> str:
        headers = {"Authorization": f"Bearer {secret}"}
        if person is not None:
            headers["X-On-Behalf-Of"] = f"Bearer {PROVIDER.token(person, roles=['ask'])}"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            told = (await client.get("/v1/models", headers=headers)).headers
        return "{x-ratelimit-remaining-requests} of {x-ratelimit-limit-requests}".format(**told)

    annas = [await left("anna") for _ in range(20)]
    bens = await left("ben")
    its_own = await left(None)

    assert annas == [f"{39 - at} of 40" for at in range(20)]
    assert bens == "39 of 40"
    assert its_own == "28 of 50"


async def test_a_person_who_is_not_known_counts_for_the_application(here: Site) -> None:
    here.services = replace(
        here.services, policy=replace(here.services.policy, key_limits=Limits(requests_per_minute=1))
    )
    async with here.client(portal(here), {"X-On-Behalf-Of": "Bearer forged"}) as client:
        answers = [(await client.get("/v1/models")).status_code for _ in range(2)]

    assert answers == [401, 429]


@pytest.mark.parametrize("roles", [("ask",), ("ask", "ingest", "metrics"), ("admin",)])
async def test_a_key_without_the_role_acts_for_nobody(here: Site, roles: tuple[str, ...]) -> None:
    async with acting(here, portal(here, *roles), "anna") as client:
        answer = await client.get("/v1/models")

    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == "X-On-Behalf-Of needs a key with the role act-for."


async def test_a_token_acts_for_nobody(here: Site) -> None:
    async with acting(here, PROVIDER.token("ben", roles=["admin", "act-for"]), "anna") as client:
        assert (await client.get("/v1/models")).status_code == 403


async def test_without_a_sound_token_of_the_person_nothing_is_answered(here: Site) -> None:
    secret = portal(here)
    sound = PROVIDER.token("anna", roles=["ask"])
    answers = set()
    for header in ("", "Bearer", f"Basic {sound}", sound, "Bearer x", f"Bearer {secret}", f"Bearer {sound}x"):
        async with here.client(secret, {"X-On-Behalf-Of": header}) as client:
            answers.add(((answer := await client.get("/v1/models")).status_code, answer.text))
    async with here.client(secret) as client:
        twice = [("X-On-Behalf-Of", f"Bearer {sound}"), ("X-On-Behalf-Of", f"Bearer {PROVIDER.token('ben')}")]
        answers.add(((answer := await client.get("/v1/models", headers=twice)).status_code, answer.text))
        itself = await client.get("/v1/models")

    ((status, text),) = answers
    assert (status, json.loads(text)["error"]["code"]) == (401, "invalid_token")
    assert itself.status_code == 200, "without the header, the application asks for itself"


async def test_a_revoked_application_acts_for_nobody_any_more(here: Site) -> None:
    secret = portal(here)
    async with acting(here, secret, "anna") as client:
        assert (await client.get("/v1/models")).status_code == 200
        here.ledger.keys.revoke(here.ledger.keys.all()[0].key_id)
        assert (await client.get("/v1/models")).status_code == 401


@pytest.mark.parametrize(("roles", "token", "status"), [(("ask",), None, 403), (("ask", "act-for"), "forged", 401)])
async def test_who_is_refused_to_act_is_on_record_even_for_a_look(
    here: Site, tmp_path: Path, roles: tuple[str, ...], token: str | None, status: int
) -> None:
    log = AuditLog(tmp_path / "audit.db", Signer(Ed25519PrivateKey.generate()))
    here.services = replace(here.services, audit=log)
    header = f"Bearer {token or PROVIDER.token('anna', roles=['ask'])}"
    async with here.client(portal(here, *roles), {"X-On-Behalf-Of": header}) as client:
        answers = [await client.get("/v1/models"), await client.post(CHAT, json=question("Where may I park?"))]
    records = [json.loads(entry.record) for entry in log.entries()]
    log.close()

    assert [answer.status_code for answer in answers] == [status, status]
    assert [(record["caller"], record["status"], record["outcome"]) for record in records] == [
        ("user:portal", status, "refused"),
        ("user:portal", status, "refused"),
    ]


async def test_the_audit_log_names_the_person_and_the_application(here: Site, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.db", Signer(Ed25519PrivateKey.generate()))
    here.services = replace(here.services, audit=log)
    async with acting(here, portal(here, groups=["group:apps"]), "anna", "claims") as client:
        await client.post(CHAT, json=question("Where may I park?"))
        await client.post("/v1/vector_stores/common/search", json={"query": "park"})
    records = [json.loads(entry.record) for entry in log.entries()]
    log.close()

    key = here.ledger.keys.all()[0].key_id
    assert len(records) == 2
    for record in records:
        assert (record["caller"], record["groups"], record["key"]) == ("user:anna", ["group:claims"], key)
        assert record["application"] == {
            "caller": "user:portal",
            "groups": ["group:apps"],
            "is_admin": False,
            "stores": None,
        }
