"""Arithmetic of pages, without tensors: a page holds PAGE_TOKENS tokens of one sequence, in every slot."""

PAGE_TOKENS = 16


def rows_of(pages: list[int], end: int) -> list[int]:
    """The storage rows of a sequence's tokens 0 to `end`."""
    return [page * PAGE_TOKENS + offset for page in pages for offset in range(PAGE_TOKENS)][:end]


def pages_for(tokens: int) -> int:
    """Pages that hold `tokens` tokens."""
    return -(-tokens // PAGE_TOKENS)
