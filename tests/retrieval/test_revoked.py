"""Library.revoked: it moves when something is taken away from somebody, whose kept answers go then."""

import pytest

from retrieval.library import Library
from retrieval.types import Access, Attachment, Description
from tests.retrieval.desk import ANNA

pytestmark = pytest.mark.anyio

ALL = Access(read=("user:anna", "user:ben"))


async def upload(library: Library, access: Access | None = None) -> str:
    with library.archive.staging() as staged:
        staged.write(b"apple")
        file = await library.archive.add_file(
            staged, filename="a.txt", purpose="assistants", reader=ANNA, access=access
        )
    return file.file_id


async def test_what_is_new_is_taken_away_from_nobody(library: Library) -> None:
    before = await library.revoked()

    file = await upload(library, ALL)
    await library.archive.make_store(Description("shop"), ANNA, ALL, [Attachment(file)])
    await library.create_store("desk", ANNA, ALL)

    assert await library.revoked() == before
    assert (await library.archive.file(file, ANNA)).access == ALL


async def test_a_change_of_lists_and_a_removal_may_take_something_away(library: Library) -> None:
    file = await upload(library, ALL)
    store = (await library.archive.make_store(Description("shop"), ANNA, ALL)).store_id
    moved = [await library.revoked()]

    await library.archive.share_file(file, Access(), ANNA)
    moved.append(await library.revoked())
    await library.archive.change_store(store, lambda said: said, ANNA, Access(write=("user:anna",)))
    moved.append(await library.revoked())
    await library.delete(file, ANNA)
    moved.append(await library.revoked())

    assert moved == sorted(set(moved))
