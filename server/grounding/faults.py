"""A fault of the check costs a sentence its marker, and not the caller the answer."""

import logging

from server.errors import INTERNAL, wire_form
from server.faults import kind_and_place
from server.grounding.support import Finding, Sources

log = logging.getLogger(__name__)


def finding_of(sources: Sources, claim: str) -> Finding:
    """Find what says `claim`. Where the rules fail of what they read, nothing does; what is foreseen is raised.

    Raises:
        Exception: one that has a form of its own on the wire, as that the embedder is not there yet.
    """
    try:
        return sources.find(claim)
    except Exception as error:  # a document may have brought it on, for all who read it
        if wire_form(error) is not INTERNAL:
            raise
        log.error("a sentence cannot be checked: %s", kind_and_place(error))
        return Finding(reason="fault")
