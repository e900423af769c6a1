"""Attributes of documents, and filters over them, as OpenAI spells them."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from retrieval.types import Comparison, Compound
from server.schemas.fields import Asked, Text, by_shape, counted_first

MAX_ATTRIBUTES = 16
MAX_DEPTH = 8
MAX_COMPARISONS = 100


def _whole(key: str) -> str:
    # SQLite's JSON functions end a name there, and one attribute would be another.
    if "\0" in key:
        raise PydanticCustomError("attribute", "the name of an attribute cannot hold a NUL character")
    return key


Key = Annotated[Text, Field(min_length=1, max_length=64), AfterValidator(_whole)]
# Beyond it two whole numbers can be the same 64-bit float, and a filter would find the wrong one.
_LARGEST = 2**53


def _exact(value: object) -> object:
    # As it came: behind the float, 2^53 + 1 is 2^53.
    if isinstance(value, int | float) and abs(value) > _LARGEST:
        raise PydanticCustomError("number", "a number must lie within ±2^53")
    return value


AttributeText = Annotated[Text, Field(max_length=512)]
Number = Annotated[float, BeforeValidator(_exact)]
Value = Annotated[
    Annotated[bool, Tag("boolean")] | Annotated[Number, Tag("number")] | Annotated[AttributeText, Tag("text")],
    by_shape(text=str, boolean=bool, number=(int, float)),
]
# Keys that the server answers itself, and that no document can be given: whether a document is flagged, and as what.
OWN_KEYS = ("hrm.flagged", "hrm.flags")
OWN_PREFIX = "hrm."


def _not_ours(key: str) -> str:
    if key.startswith(OWN_PREFIX):
        raise PydanticCustomError("attribute", "keys that begin with 'hrm.' are the server's own; use another name")
    return key


Attributes = Annotated[
    dict[Annotated[Key, AfterValidator(_not_ours)], Value],
    Field(max_length=MAX_ATTRIBUTES),
    counted_first(MAX_ATTRIBUTES),
]


class ComparisonFilter(Asked):
    """Compares one attribute. A value of another kind than the attribute's is unequal to it."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: Key
    value: Annotated[
        Annotated[Value, Tag("one")]
        | Annotated[list[Value], Field(min_length=1, max_length=MAX_COMPARISONS), Tag("several")],
        by_shape(one=(str, bool, int, float), several=list),
    ]

    @model_validator(mode="after")
    def _is_comparable(self) -> Self:
        if isinstance(self.value, list) != (self.type in ("in", "nin")):
            wanted = "a list" if self.type in ("in", "nin") else "one value, not a list"
            raise PydanticCustomError("filter", "'{type}' takes {wanted}", {"type": self.type, "wanted": wanted})
        if isinstance(self.value, bool) and self.type not in ("eq", "ne"):
            raise PydanticCustomError("filter", "'{type}' cannot order true and false", {"type": self.type})
        if self.key.startswith(OWN_PREFIX) and self.key not in OWN_KEYS:
            raise PydanticCustomError(
                "filter", "of the server's own keys there are {keys}", {"keys": " and ".join(OWN_KEYS)}
            )
        return self

    def meaning(self) -> Comparison:
        """What a search understands."""
        value = tuple(self.value) if isinstance(self.value, list) else self.value
        return Comparison(self.key, self.type, value)


class CompoundFilter(Asked):
    """Joins filters."""

    type: Literal["and", "or"]
    filters: list["AnyFilter"] = Field(min_length=1, max_length=MAX_COMPARISONS)

    def meaning(self) -> Compound:
        """What a search understands."""
        return Compound(self.type, tuple(part.meaning() for part in self.filters))


def _kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "compound" if kind in ("and", "or") else "comparison"


AnyFilter = Annotated[
    Annotated[ComparisonFilter, Tag("comparison")] | Annotated[CompoundFilter, Tag("compound")], Discriminator(_kind)
]


def _bounded(filters: AnyFilter) -> AnyFilter:
    depth, comparisons, level = 0, 0, [filters]
    while level:
        depth += 1
        comparisons += sum(
            len(part.value) if isinstance(part.value, list) else 1
            for part in level
            if isinstance(part, ComparisonFilter)
        )
        level = [inner for part in level if isinstance(part, CompoundFilter) for inner in part.filters]
    if depth > MAX_DEPTH or comparisons > MAX_COMPARISONS:
        raise PydanticCustomError(
            "filter",
            "at most {comparisons} comparisons, {depth} levels deep",
            {"comparisons": MAX_COMPARISONS, "depth": MAX_DEPTH},
        )
    return filters


Filters = Annotated[AnyFilter, AfterValidator(_bounded)]
