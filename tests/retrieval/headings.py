"""The headings that a parser has found."""

from retrieval.parsed import Parsed


def headings(parsed: Parsed) -> list[tuple[str, int]]:
    return [(parsed.text[heading.start : heading.end], heading.level) for heading in parsed.headings]
