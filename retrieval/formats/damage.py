"""Why a library could not open a file, in words that its owner can act on."""

from lxml.etree import ErrorTypes, XMLSyntaxError

from retrieval.errors import kind_of


def reason_of(error: Exception, program: str) -> str:
    """What is wrong with a file, and what helps.

    Args:
        program: in which it can be opened and saved.
    """
    # Its stubs lack the code.
    if isinstance(error, XMLSyntaxError) and error.code == ErrorTypes.ERR_RESOURCE_LIMIT:  # type: ignore[attr-defined]
        return "one text in it is longer than 10,000,000 bytes, or is nested too deeply; if it is no trap, split it"
    return f"it is damaged ({kind_of(error)}); open it in {program} and save it again"
