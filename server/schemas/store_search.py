"""What a search of a store takes and gives."""

from typing import Annotated, Literal

from pydantic import Field, Tag

from retrieval.types import Attribute, FlagKind, Passage, PersonalDataKind
from server.schemas.fields import Answered, Asked, Written, by_shape
from server.schemas.filters import Filters
from server.schemas.store_files import TextContent
from server.schemas.tools import RankingOptions
from server.wire import chunk_id_of

Query = Annotated[Written, Field(max_length=10_000)]


class SearchRequest(Asked):
    """A search of one store."""

    query: Annotated[
        Annotated[Query, Tag("one")] | Annotated[list[Query], Field(min_length=1, max_length=16), Tag("several")],
        by_shape(one=str, several=list),
    ] = Field(description="Several are searched for one by one; a passage counts where it scores best.")
    max_num_results: int = Field(10, ge=1, le=50)
    filters: Filters | None = None
    ranking_options: RankingOptions | None = None
    rewrite_query: bool = Field(
        False, description="Join a query that cannot stand alone with the content words of the one before it."
    )

    def weights(self) -> tuple[float, float] | None:
        """Of meaning and of wording; None: the server's own."""
        hybrid = self.ranking_options and self.ranking_options.hybrid_search
        return hybrid.weights() if hybrid else None

    def queries(self) -> list[str]:
        """What to look for."""
        return [self.query] if isinstance(self.query, str) else self.query


class SearchHit(Answered):
    """A passage that was found."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, Attribute]
    content: list[TextContent]
    title: str
    chunk_id: str = Field(description="Its place: the file, and the span.")
    page: int | None = Field(description="Page, slide or sheet, counted from 1; null where the format has none.")
    locator: str = Field(description='For a person who has the file open, as "page 3" or "Fees, rows 12–18".')
    start_char: int
    end_char: int
    sha256: str
    personal_data: list[PersonalDataKind] = Field(description="Kinds that were found in the whole file.")
    flags: list[FlagKind] = Field(description="What the document is flagged for.")

    @classmethod
    def of(cls, passage: Passage) -> "SearchHit":
        assert passage.file_id is not None, "a stored passage belongs to a file"
        return cls(
            file_id=passage.file_id,
            filename=passage.filename,
            score=passage.score,
            attributes=dict(passage.attributes),
            content=[TextContent(text=passage.text)],
            title=passage.title,
            chunk_id=chunk_id_of(passage),
            page=passage.page,
            locator=passage.locator,
            start_char=passage.start_char,
            end_char=passage.end_char,
            sha256=passage.sha256,
            personal_data=list(passage.personal_data),
            flags=list(passage.flags),
        )


class SearchResults(Answered):
    """What a search found, best first."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchHit]
    has_more: Literal[False] = False
    next_page: None = None
