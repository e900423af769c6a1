"""Relations: what can be said of a subject, in many statement and question wordings each."""

from collections.abc import Sequence

from hrm_model.training.grounded.relations.duties import DUTIES
from hrm_model.training.grounded.relations.money import MONEY
from hrm_model.training.grounded.relations.people import PEOPLE
from hrm_model.training.grounded.relations.places import PLACES
from hrm_model.training.grounded.relations.relation import Relation
from hrm_model.training.grounded.relations.rules import RULES
from hrm_model.training.grounded.relations.times import TIMES

RELATIONS: Sequence[Relation] = (*MONEY, *PEOPLE, *PLACES, *TIMES, *RULES, *DUTIES)

__all__ = ["RELATIONS", "Relation"]
