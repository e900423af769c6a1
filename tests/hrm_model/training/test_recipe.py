"""The recipe: its bounds, the learning rate over a run, and how many steps back-propagate."""

import pytest

from hrm_model.training.recipe import Recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tokens", 0),
        ("tokens", -5),
        ("batch_tokens", 0),
        ("longest_pair", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -0.1),
        ("warmup_steps", 0),
        ("decay", 0.0),
        ("ema", 1.0),
        ("clip", 0.0),
        ("gradient_steps", 1),
        ("gradient_warmup", 0.0),
        ("stage_share", -0.1),
        ("evidence", -0.5),
        ("evidence", float("nan")),
        ("replay", 1.0),
        ("held_out", 0),
        ("evaluate_every", 0),
        ("seed", -1),
        ("start", "writing"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(field: str, value: float | str) -> None:
    chosen: dict[str, float | str] = {"tokens": 1000, field: value}

    with pytest.raises(ValueError, match=f"{field.replace('_', ' ')} is {value!r}"):
        Recipe(**chosen)  # type: ignore[arg-type]  # each field has its own number type


def test_hours_must_be_more_than_none() -> None:
    with pytest.raises(ValueError, match=r"hours is 0\.0"):
        Recipe(hours=0.0)


@pytest.mark.parametrize("budget", [{}, {"tokens": 5, "hours": 1.0}])
def test_there_is_exactly_one_budget(budget: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Recipe(**budget)  # type: ignore[arg-type]  # each field has its own number type


def test_the_rate_warms_up_stays_and_falls_to_nothing() -> None:
    recipe = Recipe(tokens=1, learning_rate=2.0, warmup_steps=4, decay=0.5)

    assert [recipe.rate(step, 0.1) for step in range(5)] == [0.5, 1, 1.5, 2, 2]
    assert [recipe.rate(100, spent) for spent in (0.5, 0.75, 1.0)] == [2, 1, 0]


def test_the_steps_with_gradient_grow_from_two_to_all() -> None:
    recipe = Recipe(tokens=1, gradient_steps=5, gradient_warmup=0.3)

    assert [recipe.steps_with_gradient(spent) for spent in (0.0, 0.1, 0.2, 0.3, 1.0)] == [2, 3, 4, 5, 5]
