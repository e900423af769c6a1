"""A relation: its wordings, the type of its values, and the kinds of subjects that it suits.

Statement lines hold `{s}` (the subject) and `{v}` (the value); `{is}`, `{has}`, `{z}` and so on agree with the
subject. Question lines are questions, or noun phrases after `=` (asked in many frames), or orders after `!`.
"""

from dataclasses import dataclass
from functools import cached_property

from hrm_model.training.grounded.wording import Wordings, register, split

ANYTHING = ("thing", "thing", "event", "facility", "body", "mass", "company", "product", "group")
GOODS = ("thing", "thing", "mass", "product", "group")
SITES = ("facility", "facility", "place", "company", "event")
HUMANS = ("person", "person", "people", "group")


@dataclass(frozen=True)
class Relation:
    """One relation.

    Relations of one `group` are never both told of one subject, since a question could mean either. `name` tells
    apart the qualified ones of a group (annual fee, monthly fee), which may stand beside each other.
    """

    name: str
    group: str
    value: str
    kinds: tuple[str, ...]
    label: str
    says: str
    asks: str
    attribute: str = ""
    qualified: bool = False

    def __post_init__(self) -> None:
        register(self.says)

    @cached_property
    def statements(self) -> Wordings:
        """The statement wordings, divided."""
        return split(self.says)

    @cached_property
    def questions(self) -> Wordings:
        """The question wordings, divided."""
        return split(self.asks)

    def could_mean(self, other: "Relation") -> bool:
        """Say whether a question about this relation could also be meant for the other."""
        return self.group == other.group and not (self.qualified and other.qualified and self.name != other.name)
