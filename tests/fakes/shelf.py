"""A retriever and library in memory: real parsing, chunks and access, words in place of vectors."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import eq, ge, gt, le, lt
from pathlib import Path
from typing import Any

from retrieval.chunking import cut
from retrieval.erasure import Erasure, Purge, Scan
from retrieval.errors import DocumentNotFound, DocumentRefused, NotTheOwner, StoreNameRefused, StoreNotFound
from retrieval.facts import StoreFacts
from retrieval.parse import parse
from retrieval.types import (
    EVERYONE,
    Access,
    Attribute,
    Comparison,
    Compound,
    Counts,
    Document,
    DocumentStatus,
    Filter,
    FlagKind,
    Hits,
    Passage,
    Reader,
    Store,
)


@dataclass
class _Held:
    """A document with its text and passages; their score is that of no query yet."""

    document: Document
    source: str
    text: str
    completed_in: int
    passages: list[Passage] = field(default_factory=list)


class Shelf:
    """Scores a passage by the share of the query's words that it carries. Deterministic: ids are counted up."""

    def __init__(self, error: Exception | None = None) -> None:
        """Start empty; with `error`, every search raises it."""
        self.error = error
        self.queries: list[str] = []
        self.weights: list[tuple[float, float] | None] = []
        self._stores: dict[str, Store] = {}
        self._held: dict[str, _Held] = {}
        self._erasures: list[Erasure] = []
        self._generation = 0
        self._revoked = 0
        self._count = 0

    async def search(
        self,
        query: str,
        *,
        stores: Sequence[str],
        k: int,
        reader: Reader,
        filters: Filter | None = None,
        score_threshold: float = 0.0,
        weights: tuple[float, float] | None = None,
        as_of: int | None = None,
    ) -> Hits:
        if self.error is not None:
            raise self.error
        self.queries.append(query)
        self.weights.append(weights)  # and nothing else: it knows words alone
        wanted = tuple(self._store(name, reader, "read").store_id for name in stores)
        asked = _words(query)
        scored = [
            replace(passage, score=len(asked & _words(f"{passage.title} {passage.text}")) / len(asked))
            for held in self._held.values()
            for passage in held.passages
            if passage.store_id in wanted
            and (as_of is None or held.completed_in <= as_of)
            and asked
            and (filters is None or matches(filters, passage.attributes, passage.flags))
        ]
        distinct: dict[str, Passage] = {}
        for passage in sorted(scored, key=lambda passage: -passage.score):
            if passage.score > 0 and passage.score >= score_threshold:
                distinct.setdefault(passage.text, passage)
        return Hits(tuple(distinct.values())[: max(0, k)], self._generation, wanted)

    async def stores(self, reader: Reader) -> list[Store]:
        readable = [store for store in self._stores.values() if _may(store, reader, "read")]
        return sorted((self._counted(store) for store in readable), key=lambda store: store.name)

    async def store(self, name_or_id: str, reader: Reader) -> Store:
        return self._counted(self._store(name_or_id, reader, "read"))

    async def create_store(self, name: str, reader: Reader, access: Access | None = None) -> Store:
        if any(name in (store.name, store.store_id) for store in self._stores.values()):
            return self._counted(self._store(name, reader, "write"))
        if not re.fullmatch(r"(?!vs_|none$)[a-z0-9][a-z0-9_-]{0,63}", name):
            raise StoreNameRefused(name)
        owner = min(name for name in reader.names if name.startswith("user:"))
        store_id = f"vs_{self._next():024x}"
        mine = Access(read=(owner,), write=(owner,))
        self._stores[store_id] = Store(store_id, name, owner, access or mine, Counts(), created_at=1_700_000_000)
        self._generation += 1
        return self._stores[store_id]

    async def set_access(self, name_or_id: str, access: Access, reader: Reader) -> Store:
        found = self._store(name_or_id, reader, "write")
        if not reader.is_admin and found.owner not in reader.names:
            raise NotTheOwner
        store = replace(found, access=access)
        self._stores[store.store_id] = store
        self._revoke()
        return self._counted(store)

    async def ingest(self, path: Path, *, store: str, reader: Reader) -> Document:
        source, data = _opened(path)
        parsed = parse(path, data)
        target = await self.create_store(store, reader)
        sha256 = hashlib.sha256(data).hexdigest()
        same_store = [held for held in self._held.values() if held.document.store_id == target.store_id]
        for held in same_store:
            if held.document.sha256 == sha256:
                return held.document
        for held in same_store:
            if held.source == source:
                del self._held[held.document.file_id]
                self._revoke()
        file_id = f"file-{self._next():024x}"
        text_sha256 = hashlib.sha256(parsed.text.encode()).hexdigest()
        passages = [
            Passage(
                chunk_id=f"chunk-{self._next()}",
                file_id=file_id,
                store_id=target.store_id,
                filename=path.name,
                title=chunk.title,
                text=parsed.text[chunk.start : chunk.end],
                start_char=chunk.start,
                end_char=chunk.end,
                sha256=text_sha256,
                score=0.0,
                flags=tuple(flag.kind for flag in parsed.flags),
            )
            for chunk in cut(parsed, lambda texts: [len(text.split()) for text in texts])
        ]
        document = Document(
            file_id=file_id,
            store_id=target.store_id,
            filename=path.name,
            title=parsed.title,
            bytes=len(data),
            sha256=sha256,
            chunks=len(passages),
            created_at=1_700_000_000,
            status="completed",
            flags=parsed.flags,
        )
        self._generation += 1
        self._held[file_id] = _Held(document, source, parsed.text, self._generation, passages)
        return document

    async def documents(self, store: str, reader: Reader) -> list[Document]:
        store_id = self._store(store, reader, "read").store_id
        return [held.document for held in self._held.values() if held.document.store_id == store_id]

    async def document(self, file_id: str, reader: Reader) -> Document:
        return self._find(file_id, reader, "read").document

    async def set_attributes(
        self, store: str, file_id: str, attributes: Mapping[str, Attribute], reader: Reader
    ) -> Document:
        self._store(store, reader, "write")
        held = self._find(file_id, reader, "read")
        held.document = replace(held.document, attributes=dict(attributes))
        held.passages = [replace(passage, attributes=dict(attributes)) for passage in held.passages]
        self._generation += 1
        return held.document

    async def text(self, file_id: str, reader: Reader) -> str:
        return self._find(file_id, reader, "read").text

    async def delete(self, file_id: str, reader: Reader) -> Erasure:
        held = self._find(file_id, reader, "write")
        del self._held[file_id]
        self._revoke()
        salt = f"{self._next():032x}"
        hashes = [
            hashlib.sha256(bytes.fromhex(salt) + value.encode()).hexdigest()
            for value in (held.document.filename, held.document.sha256)
        ]
        erasure = Erasure(
            erasure_id=f"erasure_{self._next():024x}",
            file_id=file_id,
            store_ids=(held.document.store_id,),
            is_whole=True,
            owner=self._stores[held.document.store_id].owner,
            by=min(name for name in reader.names if name.startswith("user:")),
            reason="deleted",
            requested_at=1_700_000_000,
            salt=salt,
            name_hash=hashes[0],
            content_hash=hashes[1],
            bytes=held.document.bytes,
            chunks=held.document.chunks,
            generation_before=self._generation - 1,
            generation_after=self._generation,
        )
        self._erasures.append(erasure)
        return erasure

    async def erasures(self) -> list[Erasure]:
        return list(self._erasures)

    async def erasures_behind(self, mark: int) -> tuple[list[Erasure], int]:
        behind = [waiting for waiting in self._erasures if waiting.generation_after > mark][:2]
        return behind, behind[-1].generation_after if behind else mark

    async def erasure_of(self, file_id: str) -> Erasure | None:
        return next((waiting for waiting in self._erasures if waiting.file_id == file_id), None)

    async def purge(
        self, known: Callable[[], Iterable[str | bytes]] = tuple, besides: Collection[str] = frozenset()
    ) -> Purge:
        scan = Scan(files=0, bytes=0, runs=0, shared=0, rewrites=(), traces=())
        looked_for = tuple(erasure for erasure in self._erasures if erasure.erasure_id not in besides)
        return Purge(looked_for, scan if looked_for else None)

    async def revoked(self) -> int:
        return self._revoked

    async def settle(self, erasure: Erasure) -> None:
        self._erasures = [waiting for waiting in self._erasures if waiting != erasure]

    async def generation(self) -> int:
        return self._generation

    def facts(self) -> StoreFacts:
        documents: dict[DocumentStatus, int] = {"completed": len(self._held)} if self._held else {}
        rows = sum(len(held.passages) for held in self._held.values())
        return StoreFacts(documents, {}, 0, 0.0, self._generation, self._generation, rows)

    def _store(self, name_or_id: str, reader: Reader, mode: str) -> Store:
        for store in self._stores.values():
            if name_or_id in (store.name, store.store_id) and _may(store, reader, mode):
                return store
        raise StoreNotFound(name_or_id)

    def _find(self, file_id: str, reader: Reader, mode: str) -> _Held:
        held = self._held.get(file_id)
        if held is None or not _may(self._stores[held.document.store_id], reader, mode):
            raise DocumentNotFound(file_id)
        return held

    def _counted(self, store: Store) -> Store:
        held = sum(held.document.store_id == store.store_id for held in self._held.values())
        return replace(store, counts=Counts(completed=held))

    def _revoke(self) -> None:
        self._generation += 1
        self._revoked = self._generation

    def _next(self) -> int:
        self._count += 1
        return self._count


def _opened(path: Path) -> tuple[str, bytes]:
    try:
        return str(path.resolve()), path.read_bytes()
    except OSError as error:
        raise DocumentRefused(path, f"it cannot be opened: {error.strerror}") from error


def _may(store: Store, reader: Reader, mode: str) -> bool:
    granted = store.access.write if mode == "write" else (*store.access.read, *store.access.write)
    return all(
        (one.is_admin or store.owner in one.names or not one.names.isdisjoint(granted) or EVERYONE in granted)
        and (one.stores is None or not one.stores.isdisjoint({store.store_id, store.name}))
        for one in reader.each()
    )


def matches(wanted: Filter, attributes: Mapping[str, Attribute], flags: Sequence[FlagKind] = ()) -> bool:
    """Say whether a document of these attributes and flags passes, as `retrieval.types.Comparison` describes it."""
    match wanted:
        case Compound("and", filters):
            return all(matches(part, attributes, flags) for part in filters)
        case Compound(_, filters):
            return any(matches(part, attributes, flags) for part in filters)
        case Comparison(key, "ne" | "nin" as operator, value):
            return not matches(Comparison(key, "eq" if operator == "ne" else "in", value), attributes, flags)
        case Comparison(key, "in", tuple(values)):
            return any(matches(Comparison(key, "eq", value), attributes, flags) for value in values)
        case Comparison("hrm.flagged", _, value):
            return bool(flags) is value
        case Comparison("hrm.flags", operator, value):
            return any(isinstance(value, str) and bool(_COMPARED[operator](kind, value)) for kind in flags)
        case Comparison(key, operator, value):
            found: Any = attributes.get(key)
            if key not in attributes or _kind(found) is not _kind(value):
                return False
            return bool(_COMPARED[operator](found, value))


_COMPARED = {"eq": eq, "gt": gt, "gte": ge, "lt": lt, "lte": le}


def _kind(value: object) -> type:
    return bool if isinstance(value, bool) else str if isinstance(value, str) else float


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))
