"""Every call that reaches a store, a file or a batch, through the official client."""

from collections.abc import Awaitable, Callable
from dataclasses import astuple, dataclass

from openai import AsyncOpenAI

from tests.fakes.serving import MODEL


@dataclass(frozen=True, slots=True)
class Held:
    """The ids of a store, of a file that it holds, and of a batch with that file."""

    store: str
    file: str
    batch: str

    def unnamed(self, text: str) -> str:
        """A text with these ids as those of nothing."""
        for mine, none in zip(astuple(self), astuple(NOTHING), strict=True):
            text = text.replace(mine, none)
        return text


NOTHING = Held("vs_none", "file-none", "vsfb_none")
Call = Callable[[AsyncOpenAI, Held], Awaitable[object]]

READING: dict[str, Call] = {
    "retrieve the store": lambda c, at: c.vector_stores.retrieve(at.store),
    "search it": lambda c, at: c.vector_stores.search(at.store, query="leave"),
    "list its files": lambda c, at: c.vector_stores.files.list(at.store),
    "retrieve one of them": lambda c, at: c.vector_stores.files.retrieve(at.file, vector_store_id=at.store),
    "read one of them": lambda c, at: c.vector_stores.files.content(at.file, vector_store_id=at.store),
    "retrieve the batch": lambda c, at: c.vector_stores.file_batches.retrieve(at.batch, vector_store_id=at.store),
    "list its part": lambda c, at: c.vector_stores.file_batches.list_files(at.batch, vector_store_id=at.store),
    "retrieve the file": lambda c, at: c.files.retrieve(at.file),
    "read the file": lambda c, at: c.files.content(at.file),
    "ask": lambda c, at: c.chat.completions.create(
        model=f"{MODEL}@{at.store}", messages=[{"role": "user", "content": "leave?"}]
    ),
}
WRITING: dict[str, Call] = {
    "describe the store": lambda c, at: c.vector_stores.update(at.store, name="mine"),
    "share it": lambda c, at: c.vector_stores.update(at.store, extra_body={"access": {"read": ["*"]}}),
    "put a file in": lambda c, at: c.vector_stores.files.create(at.store, file_id=at.file),
    "put several in": lambda c, at: c.vector_stores.file_batches.create(at.store, file_ids=[at.file]),
    "cancel the batch": lambda c, at: c.vector_stores.file_batches.cancel(at.batch, vector_store_id=at.store),
    "change attributes": lambda c, at: c.vector_stores.files.update(
        at.file, vector_store_id=at.store, attributes={"a": 1}
    ),
    "take a file out": lambda c, at: c.vector_stores.files.delete(at.file, vector_store_id=at.store),
    "share the file": lambda c, at: c.post(f"/files/{at.file}", body={"access": {"read": ["*"]}}, cast_to=object),
    "delete the file": lambda c, at: c.files.delete(at.file),
    "delete the store": lambda c, at: c.vector_stores.delete(at.store),
}
