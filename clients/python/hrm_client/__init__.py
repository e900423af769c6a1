"""Ask an hrm-serve server, and get answers whose sources it has checked.

What goes wrong is raised as the exceptions of the `openai` package, unchanged.
"""

from hrm_client.answers import Answer, Citation, Delta, Done, Grounding, GroundingStatus, Part, Source, Sources
from hrm_client.async_client import AsyncAnswerStream, AsyncHrmClient
from hrm_client.client import AnswerStream, HrmClient
from hrm_client.request import Asked, Document, GroundingMode, Sampling

__all__ = [
    "Answer",
    "AnswerStream",
    "Asked",
    "AsyncAnswerStream",
    "AsyncHrmClient",
    "Citation",
    "Delta",
    "Document",
    "Done",
    "Grounding",
    "GroundingMode",
    "GroundingStatus",
    "HrmClient",
    "Part",
    "Sampling",
    "Source",
    "Sources",
]
