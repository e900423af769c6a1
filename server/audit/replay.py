"""Ask again what a record says was asked, and compare: the same, different and in what, or erased."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from hrm_model.errors import GrammarFault, RequestRefused
from retrieval.errors import DocumentNotFound, StoreExpired, StoreNotFound
from retrieval.types import Reader
from server.audit.chain import AuditError
from server.audit.facts import ORDERED, AnswerFacts, caller_of, question_of
from server.audit.log import AuditLog
from server.audit.seal import salted
from server.completions import Completions
from server.deps import Services
from server.errors import InvalidRequest, UnknownModel, UnknownStore
from server.events import closing
from server.identity import UNLIMITED, Caller
from server.invalid import described
from server.limiter import Limiter, Subject, Turn
from server.metering import Meter
from server.metrics import Metrics
from server.pipeline import Pipeline
from server.schemas.chat import ChatRequest
from server.schemas.completion import CompletionRequest

CHAT = "/v1/chat/completions"
# What may differ, in the order in which it explains what comes after it.
_CAUSES = ("software", "model_digest", "template_digest", "generation")
# Defaults that are today's in a replay: of worked examples a record has the digest alone, and a store is opened before
# anybody knows with which weights a record wants it searched.
_TODAYS = ("shots", "text_weight", "late_interaction")
_UNFINISHED = {
    "cut off": "was cut off with its server",
    "left": "was left by its reader before it ended",
    "failed": "failed before it ended",
}
_GONE = "is gone from its store"
_CLOSED = "whoever asked may not read any more: its access was changed"
_ANYBODY = Reader(frozenset(), is_admin=True)  # to tell what is closed to the caller from what is gone


@dataclass(frozen=True, slots=True)
class Replayed:
    """How asking again went, and where it differs from the record."""

    verdict: Literal["same", "differs", "erased"]
    differences: tuple[str, ...] = ()


async def replay(
    log: AuditLog, request: str, services: Services, question: Mapping[str, Any] | None, *, number: int | None = None
) -> Replayed:
    """Ask again.

    Args:
        number: of the record that is meant, where clients gave several requests one id.
        question: the content of the request (`messages` or `prompt`, and what else it brought), where the log does
            not keep it; it must be the very same.

    Raises:
        AuditError: there is no record of such an answer, or not of a whole one; or its question is not at hand, is
            another one, or is refused today.
    """
    noted = [entry for entry in log.of_request(request) if number in (None, entry.number)]
    answers = [entry for entry in noted if json.loads(entry.record).get("choices")]
    if noted and not answers:
        raise AuditError(f"What is on record for {request} is no answer, and answers alone are asked again.")
    if not answers:
        raise AuditError(f"There is no record of an answer to a request {request}.")
    if len(answers) > 1:
        numbers = ", ".join(str(entry.number) for entry in answers)
        raise AuditError(f"Several answers are on record for {request}: name one with --record ({numbers}).")
    (entry,) = answers
    record: dict[str, Any] = json.loads(entry.record)
    if how := _UNFINISHED.get(record["outcome"]):
        raise AuditError(f"The answer to {request} {how}: there is no whole answer on record to compare with.")
    salt = log.salt(entry.number)
    if salt is None:
        return Replayed("erased", ("the question and the answer are erased",))
    content = _content(log, entry.number, record, salt, question)
    caller = caller_of(record)
    if missing := await _missing(record, caller, services):
        verdict: Literal["erased", "differs"] = "erased" if _GONE in missing.values() else "differs"
        return Replayed(verdict, tuple(f"passage {rank} is of a document that {why}" for rank, why in missing.items()))
    try:
        facts = await _asked_again(record, content, caller, as_then(record, services))
    except UnknownStore as error:
        return await _without(error.store, services)
    except StoreExpired as error:
        return Replayed("erased", (f"the store {error.store} has expired, and what it held is gone from it",))
    except (InvalidRequest, UnknownModel, RequestRefused, GrammarFault) as error:
        raise AuditError(f"What was asked then is refused today: {error}") from error
    return _compared(record, facts, salt)


def _content(
    log: AuditLog, number: int, record: Mapping[str, Any], salt: bytes, question: Mapping[str, Any] | None
) -> dict[str, Any]:
    kept = None if question is not None else log.content(number)
    if kept is not None:
        spelled = json.loads(kept)["question"]
    elif question is not None:
        spelled = question_of(question, record)
    else:
        raise AuditError("The log keeps no texts; give the question with --question FILE, as it was sent.")
    if salted(salt, spelled) != record["hashes"]["question"]:
        raise AuditError(
            "This is not the question that was asked, field by field, and in a form name by name in their order:"
            " its hash is another one."
        )
    content: dict[str, Any] = json.loads(spelled)
    # In the order of what was given: older records have all names sorted.
    return content if question is None else {name: question[name] for name in content}


async def _missing(record: Mapping[str, Any], caller: Caller, services: Services) -> dict[int, str]:
    """Ranks of the passages whose documents the caller cannot read any more, each with what became of it."""
    missing: dict[int, str] = {}
    for passage in record["passages"] or ():
        if passage["file"] is not None:
            try:
                await services.library.text(passage["file"], caller.reader())
            except DocumentNotFound:
                is_held = await _is_held(passage["store"], passage["file"], services)
                missing[passage["rank"]] = _CLOSED if is_held else _GONE
    return missing


async def _is_held(store: str, file: str, services: Services) -> bool:
    try:
        await services.archive().held(store, file, _ANYBODY)
    except (StoreNotFound, DocumentNotFound):
        return False
    return True


async def _without(store: str, services: Services) -> Replayed:
    """What there is to say where the caller cannot search a store any more."""
    try:
        await services.library.store(store, _ANYBODY)
    except StoreNotFound:
        return Replayed("erased", (f"the store {store} is gone",))
    return Replayed("differs", (f"whoever asked may not read the store {store} any more: its access was changed",))


def as_then(record: Mapping[str, Any], services: Services) -> Services:
    """The same services, with the defaults of then; which they are today is a matter of settings."""
    passages = record["passages"]
    if passages is None:
        default = None
    else:
        # Records of before `searched` was in them have passages alone.
        named = [passage["store"] for passage in passages] or record.get("searched") or [services.policy.default_store]
        default = named[0]
    # Records of before `defaults` was in them are asked again with today's.
    kept = {name: value for name, value in record.get("defaults", {}).items() if name not in _TODAYS}
    return replace(services, policy=replace(services.policy, default_store=default, **kept))


def _stores_of(record: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Ids of the stores that were looked up, as a name may be another store's by now.

    None: none was, or a record of before ids were in it has no passage of one.
    """
    if (ids := record.get("searched_ids")) is not None:
        return tuple(ids)
    named = record.get("searched")
    found = dict.fromkeys(passage["store"] for passage in record["passages"] or ())
    return tuple(found) if named and len(found) == len(named) else None


async def _asked_again(
    record: Mapping[str, Any], content: Mapping[str, Any], caller: Caller, services: Services
) -> AnswerFacts:
    asked = {**record["parameters"], **content, "stream": False, "stream_options": None}
    metrics, meter = Metrics(services.model.id, services.engine.load), _meter_of(record)
    request = _request_of(record, asked)
    if isinstance(request, ChatRequest):
        pipeline = Pipeline(services, metrics, as_of=record["generation"], stores=_stores_of(record))
        answer = await pipeline.answer(request, caller, meter)
    else:
        answer, _ = await Completions(services, metrics).answer(request, caller, meter)
    origin, defaults = services.origin(), services.policy.defaults()
    facts = AnswerFacts(caller, record["request"], record["route"], asked, origin, defaults, meter.spent)
    async with closing(answer):
        async for event in answer.events:
            facts.hear(event)
    return facts


def _meter_of(record: Mapping[str, Any]) -> Meter:
    """Charges nobody, and holds answers to the limit of then; in the request, it would make room for more passages."""
    limits = replace(UNLIMITED, max_tokens=record.get("most_tokens"))
    return Meter(Turn(Limiter(), [Subject(record["caller"], "this person", limits)]))


def _request_of(record: Mapping[str, Any], asked: dict[str, Any]) -> ChatRequest | CompletionRequest:
    form = ChatRequest if record["route"] == CHAT else CompletionRequest
    # Records of before it was in them had one seed for all prompts of a request, whoever had decided it.
    seed = asked["seed"] if record.get("seed_is_ours") else None
    try:
        return form.model_validate(asked if seed is None else {**asked, "seed": None}).seeded(seed)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        message, param, code = described(RequestValidationError(found, body=asked), {})
        raise InvalidRequest(message, param=param, code=code) from error


def _compared(record: Mapping[str, Any], facts: AnswerFacts, salt: bytes) -> Replayed:
    now = facts.record()
    differences = [f"{cause} was {record[cause]}, is {now[cause]}" for cause in _CAUSES if record[cause] != now[cause]]
    then, today = record.get("defaults", {}), now["defaults"]
    differences += [
        "the worked examples are others" if name == "shots" else f"{name} was {then[name]}, is {today[name]}"
        for name in _TODAYS
        if name in then and then[name] != today[name]
    ]
    before, after = _places(record["passages"]), _places(now["passages"])
    if before != after:
        first = next((rank for rank, pair in enumerate(zip(before, after, strict=False), 1) if pair[0] != pair[1]), 0)
        where = f"from passage {first} on" if first else f"{len(before)} passages then, {len(after)} now"
        differences.append(f"other passages were found: {where}")
    others = [
        f"{name} is another one"
        for name, text in facts.texts().items()
        if name != "question" and record["hashes"].get(name) != salted(salt, text)
    ]
    if others and "ordered" not in record and (forms := ", ".join(sorted(ORDERED.intersection(now["content"])))):
        differences.append(
            f"in which order the names in {forms} were sent is not on record, and the answer may depend on it"
        )
    differences += others
    # A newer index or version that finds and says the same has changed nothing for whoever asked.
    return Replayed("differs" if others or before != after else "same", tuple(differences))


def _places(passages: list[dict[str, Any]] | None) -> list[tuple[Any, ...]]:
    return [(p["file"], p["start"], p["end"], p["sha256"]) for p in passages or ()]
