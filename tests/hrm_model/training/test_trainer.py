"""A run that is cut off and goes on is, bit for bit, the run that was not. Steps are in the dtype that the CPU has."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrm_model.training.curriculum import Curriculum
from hrm_model.training.objective import losses
from hrm_model.training.recipe import Recipe
from hrm_model.training.run import Shape
from hrm_model.training.trainer import STATE_FILE, Progress, Trainer
from tests.hrm_model.training.copying import TINY, recipe, same, tasks, tokenizer, with_evidence, write

Report = Callable[[Progress, int], None]


class Killed(BaseException):
    """What a signal looks like from inside."""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"{words}.jsonl", with_evidence(tasks(60, words, words))) for words in (1, 2)]


def trainer(files: list[Path], folder: Path, chosen: Recipe, shape: Shape = TINY) -> Trainer:
    words = tokenizer(files[0].parent / "tokenizer")
    return Trainer(shape.config(300), Curriculum(files, words, chosen), chosen, folder, device="cpu", compile=False)


def silent(_: Progress, __: int) -> None:
    """Report nothing."""


def killed_after(steps: int) -> Report:
    def report(progress: Progress, _: int) -> None:
        if progress.step > steps:
            raise Killed

    return report


def everything(one: Trainer) -> dict[str, torch.Tensor]:
    """Weights, average and the optimizer's state."""
    kept = {f"weight {name}": tensor for name, tensor in one.model.state_dict().items()}
    kept |= {f"average {name}": tensor for name, tensor in one.average.values.items()}
    if one.marker is not None:
        kept |= {f"marker {name}": tensor for name, tensor in one.marker.state_dict().items()}
    for number, state in one.optimizer.state_dict()["state"].items():
        kept |= {f"optimizer {number} {key}": torch.as_tensor(value) for key, value in state.items()}
    return {name: tensor.clone() for name, tensor in kept.items()}


# 7: in the middle of a stage. 5: just after a scoring that opened the next stage. 14: in the second stage.
@pytest.mark.parametrize(("steps", "evidence"), [(5, 0.0), (7, 1.0), (14, 0.0), (14, 0.5)])
def test_a_run_that_is_killed_and_goes_on_equals_one_that_is_not(
    tmp_path: Path, files: list[Path], steps: int, evidence: float
) -> None:
    chosen = recipe(tokens=18 * 512, advance_at=0.0, evidence=evidence)
    whole = trainer(files, tmp_path / "whole", chosen)
    whole.run(silent)

    first = trainer(files, tmp_path / "cut", chosen)
    with pytest.raises(Killed):
        first.run(killed_after(steps), save_every_s=0)
    second = trainer(files, tmp_path / "cut", chosen)
    assert second.resume()
    assert second.progress.step == steps
    second.run(silent)

    assert whole.progress.step > 16
    assert (second.progress.step, second.progress.tokens) == (whole.progress.step, whole.progress.tokens)
    assert (second.progress.loss, second.progress.matches) == (whole.progress.loss, whole.progress.matches)
    assert same(everything(second), everything(whole))
    assert same(second.averaged(), whole.averaged())


def test_a_run_learns_to_tell_evidence_and_exports_no_trace_of_it(tmp_path: Path, files: list[Path]) -> None:
    chosen = recipe(tokens=120 * 512, evidence=1.0, learning_rate=3e-3)
    one = trainer(files, tmp_path / "run", chosen)
    assert one.marker is not None
    held_out = one.curriculum.load(0).held_out[0]
    before = float(losses(one.model, held_out, 5, one.marker)[1].detach())

    one.run(silent)

    assert before == pytest.approx(0.693, abs=0.001), "a coin's, as the marker starts from zero"
    assert float(losses(one.model, held_out, 5, one.marker)[1].detach()) < 0.1
    assert one.averaged().keys() == one.model.state_dict().keys()


@pytest.mark.parametrize("is_able", [True, False])
def test_steps_and_scoring_are_in_bf16_only_where_the_cpu_has_such_products(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch, is_able: bool
) -> None:
    monkeypatch.setattr("hrm_model.training.trainer.can_multiply", lambda dtype: is_able)
    one = trainer(files, tmp_path / "run", recipe(tokens=2 * 512, evaluate_every=1))
    dtypes = set[torch.dtype]()
    stack = one.model.model.H_module.layers[0]
    for part in stack.modules():
        if isinstance(part, torch.nn.Linear):
            part.register_forward_hook(lambda _, __, out: dtypes.add(out.dtype))

    one.run(silent)

    assert dtypes == {torch.bfloat16 if is_able else torch.float32}


def test_what_is_scored_and_exported_is_the_average_and_training_goes_on_from_the_weights(
    tmp_path: Path, files: list[Path]
) -> None:
    often, seldom = (recipe(tokens=6 * 512, evaluate_every=n, advance_at=1.0, stage_share=1.0) for n in (1, 100))
    scored, unscored = trainer(files, tmp_path / "a", often), trainer(files, tmp_path / "b", seldom)

    for one in (scored, unscored):
        one.run(silent)

    assert same(scored.model.state_dict(), unscored.model.state_dict())
    assert not same(scored.averaged(), scored.model.state_dict())


def test_a_write_that_is_cut_off_leaves_the_state_before(tmp_path: Path, files: list[Path]) -> None:
    chosen = recipe(tokens=4 * 512)
    one = trainer(files, tmp_path / "run", chosen)
    one.run(silent)
    before = (tmp_path / "run" / STATE_FILE).read_bytes()

    # A full disk: the partial file cannot be written, here because a folder stands in its place.
    (tmp_path / "run" / (STATE_FILE + ".partial")).mkdir()
    with pytest.raises((OSError, RuntimeError)):
        one.save()

    assert (tmp_path / "run" / STATE_FILE).read_bytes() == before


def test_half_a_state_left_by_a_kill_is_not_taken_up(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / (STATE_FILE + ".partial")).write_bytes(b"half")

    assert not trainer(files, tmp_path / "run", recipe()).resume()


@pytest.fixture
def saved(tmp_path: Path, files: list[Path]) -> Path:
    trainer(files, tmp_path / "run", recipe()).save()
    return tmp_path / "run"


def test_another_recipe_is_refused_by_the_names_of_what_differs(saved: Path, files: list[Path]) -> None:
    with pytest.raises(ValueError, match="trained with another learning_rate, seed; choose another run folder"):
        trainer(files, saved, recipe(seed=9, learning_rate=1.0)).resume()


def test_another_shape_is_refused_by_the_names_of_what_differs(saved: Path, files: list[Path]) -> None:
    with pytest.raises(ValueError, match=r"another shape \(max_position_embeddings\); choose another run folder"):
        trainer(files, saved, recipe(), replace(TINY, context=256)).resume()


def test_what_is_said_about_a_network_may_change(saved: Path, files: list[Path]) -> None:
    again = trainer(files, saved, recipe(), replace(TINY, extractive=True, max_context_tokens=64))

    assert again.resume()
    assert (again.config.is_extractive, again.config.max_context_tokens) == (True, 64)


@pytest.mark.parametrize("budget", [40 * 512 * 4, 40 * 512 // 2])
def test_another_budget_is_welcome_and_leaves_the_open_stage_its_share(
    tmp_path: Path, files: list[Path], budget: int
) -> None:
    before = trainer(files, tmp_path / "run", recipe(advance_at=1.0, stage_share=0.3))
    before.progress.tokens, before.progress.stage_from = 8 * 512, 0.1  # the stage opened after 4 of 40 steps
    before.save()

    after = trainer(files, tmp_path / "run", recipe(advance_at=1.0, stage_share=0.3, tokens=budget))

    assert after.resume()
    assert after.progress.stage_from * budget == pytest.approx(4 * 512)


@pytest.mark.parametrize("content", [b"", b"no state at all"])
def test_a_damaged_state_is_refused_in_words(saved: Path, files: list[Path], content: bytes) -> None:
    (saved / STATE_FILE).write_bytes(content)

    with pytest.raises(ValueError, match=r"state\.pt is damaged"):
        trainer(files, saved, recipe()).resume()


def test_other_files_than_those_already_trained_on_are_refused(tmp_path: Path, files: list[Path]) -> None:
    trainer(files, tmp_path / "run", recipe()).save()

    with pytest.raises(ValueError, match=r"was trained on 1\.jsonl, and 2\.jsonl stands in its place"):
        trainer(files[1:], tmp_path / "run", recipe()).resume()


def test_a_state_in_a_later_stage_needs_its_file(tmp_path: Path, files: list[Path]) -> None:
    one = trainer(files, tmp_path / "run", recipe())
    one.curriculum.advance()
    one.save()

    with pytest.raises(ValueError, match=r"was trained on 2\.jsonl, and nothing stands in its place"):
        trainer(files[:1], tmp_path / "run", recipe()).resume()


def test_a_state_from_before_there_was_evidence_is_taken_up_without(saved: Path, files: list[Path]) -> None:
    state = torch.load(saved / STATE_FILE, weights_only=True)
    del state["marker"]
    del state["recipe"]["evidence"]
    torch.save(state, saved / STATE_FILE)

    assert trainer(files, saved, recipe()).resume()
    with pytest.raises(ValueError, match="trained with another evidence; choose another run folder"):
        trainer(files, saved, recipe(evidence=1.0)).resume()


def test_a_state_from_before_files_were_recorded_is_taken_up(saved: Path, files: list[Path]) -> None:
    state = torch.load(saved / STATE_FILE, weights_only=True)
    del state["files"]
    torch.save(state, saved / STATE_FILE)

    assert trainer(files, saved, recipe()).resume()
