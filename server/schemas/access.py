"""Who may use a file or a store, as clients write and read it."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from retrieval.types import Access
from server.identity import MAX_NAME, is_grantee
from server.schemas.fields import Answered, Asked, Text


def _grantee(name: str) -> str:
    if not is_grantee(name):
        raise PydanticCustomError("grantee", "it must be user:x, group:y or *")
    return name


Grantee = Annotated[Text, Field(max_length=len("group:") + MAX_NAME), AfterValidator(_grantee)]


class AccessLists(Asked):
    """Who may read, and who may write and read. The owner may in any case, and alone with admins changes the lists."""

    read: list[Grantee] = Field(default=[], max_length=1000)
    write: list[Grantee] = Field(default=[], max_length=1000)

    def meaning(self) -> Access:
        """What the store understands."""
        return Access(tuple(dict.fromkeys(self.read)), tuple(dict.fromkeys(self.write)))


class GivenAccess(Answered):
    """Who may read, and who may write and read, besides the owner."""

    read: list[str]
    write: list[str]

    @classmethod
    def of(cls, access: Access) -> "GivenAccess":
        return cls(read=list(access.read), write=list(access.write))
