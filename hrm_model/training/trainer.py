"""The training run: steps, stages, the state that lets it resume, and what it reports."""

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrm_model.config import HrmConfig, parse_config, read_config
from hrm_model.model import HrmText
from hrm_model.projections.widened import can_multiply
from hrm_model.training.curriculum import Curriculum
from hrm_model.training.objective import Marker, exact_match, losses
from hrm_model.training.optimizer import Average, optimizer, set_rate, trained
from hrm_model.training.packing import PackedBatch
from hrm_model.training.recipe import Recipe
from hrm_model.training.start import initialise
from hrm_model.weights import load_model

STATE_FILE = "state.pt"


@dataclass(slots=True)
class Progress:
    """Where a run stands; saved with it."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float = float("nan")  # moving average over about 50 steps, nats per answer token
    evidence_loss: float = float("nan")  # the same of evidence, nats per token of which it is told
    tokens_per_s: float = 0.0
    stage_from: float = 0.0  # share of the budget that was spent when the stage opened
    matches: dict[int, float] = field(
        default_factory=dict
    )  # stage -> last held-out exact match of the averaged weights

    def spent(self, recipe: Recipe) -> float:
        """The share of the budget that is used, 0 to 1."""
        if recipe.tokens is not None:
            return min(1.0, self.tokens / recipe.tokens)
        assert recipe.hours is not None
        return min(1.0, self.seconds / (recipe.hours * 3600))


class Trainer:
    """Owns the network, its optimizer and its average. `run` goes on from wherever the state stands."""

    def __init__(
        self,
        config: HrmConfig,
        curriculum: Curriculum,
        recipe: Recipe,
        folder: Path,
        *,
        device: str,
        compile: bool,
        vectors_VD: Tensor | None = None,
    ) -> None:
        self.config, self.curriculum, self.recipe, self.folder = config, curriculum, recipe, folder
        self.device = device
        kind = device.partition(":")[0]
        # A CPU without products of 16 bits makes do with scalar ones, many times slower than fp32.
        self._casting = torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or can_multiply(torch.bfloat16))
        count_V = curriculum.token_counts(config.vocab_size)
        self.model = initialise(config, recipe.seed, recipe.start, count_V=count_V, vectors_VD=vectors_VD).to(device)
        self.marker = Marker(config).to(device) if recipe.evidence else None
        self.optimizer = optimizer(self.model, recipe, self.marker)
        self.average = Average(self.model, recipe.ema)
        self.progress = Progress()
        # Training caches nothing: with one slot for all passes, each stack is compiled once and not once a pass.
        self.model.passes = tuple(replace(step, first_slot=0) for step in self.model.passes)
        if compile:
            for stack in (self.model.model.L_module, self.model.model.H_module):
                stack.compile(dynamic=False)

    def run(self, report: Callable[[Progress, int], None], *, save_every_s: float = 300.0) -> None:
        """Train until the budget is spent; saves the state every `save_every_s` seconds and at the end."""
        saved = time.monotonic()
        while self.progress.spent(self.recipe) < 1.0:
            for batch in self.curriculum.batches():
                self._step(batch)
                if self.progress.step % self.recipe.evaluate_every == 0:
                    self._evaluate()
                report(self.progress, self.curriculum.stage)
                if time.monotonic() - saved > save_every_s:
                    self.save()
                    saved = time.monotonic()
                if self.progress.spent(self.recipe) >= 1.0:
                    break
        self._evaluate()
        self.save()

    def _step(self, batch: PackedBatch) -> None:
        began = time.perf_counter()
        progress, recipe = self.progress, self.recipe
        spent = progress.spent(recipe)
        set_rate(self.optimizer, recipe.rate(progress.step, spent))
        with self._casting:
            steps = recipe.steps_with_gradient(spent)
            loss, marked = losses(self.model, batch.to(self.device), steps, self.marker)
        (loss + recipe.evidence * marked).backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(trained(self.model, self.marker), recipe.clip)
        value = float(loss.detach())
        if not torch.isfinite(norm) or value != value:
            raise FloatingPointError(f"step {progress.step}: loss {value}, gradient norm {float(norm)}")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.model, progress.step)
        took = time.perf_counter() - began
        progress.step += 1
        progress.tokens += batch.tokens
        progress.seconds += took
        progress.loss = _moved(progress.loss, value)
        progress.evidence_loss = _moved(progress.evidence_loss, float(marked.detach()))
        rate = batch.tokens / took
        progress.tokens_per_s = 0.95 * progress.tokens_per_s + 0.05 * rate if progress.tokens_per_s else rate

    def _evaluate(self) -> None:
        """Score the averaged weights on the open stage; open the next when it is learned or has had its share."""
        stage = self.curriculum.stage
        with self._averaged_weights(), self._casting:
            held_out = [batch.to(self.device) for batch in self.curriculum.load(stage).held_out]
            self.progress.matches[stage] = exact_match(self.model, held_out)
        spent = self.progress.spent(self.recipe)
        is_learned = self.progress.matches[stage] >= self.recipe.advance_at
        if (is_learned or spent - self.progress.stage_from > self.recipe.stage_share) and self.curriculum.advance():
            self.progress.stage_from = spent

    def _averaged_weights(self) -> "_Swapped":
        return _Swapped(self.model, self.average)

    def save(self) -> None:
        """Write everything that resuming needs; a crash leaves the old state or the new one, never half."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {
            "config": self.config.to_json(),
            "recipe": asdict(self.recipe),
            "model": self.model.state_dict(),
            "average": self.average.values,
            "marker": None if self.marker is None else self.marker.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "curriculum": (self.curriculum.stage, self.curriculum.epoch, self.curriculum.used),
            "files": self.curriculum.names,
        }
        partial = self.folder / (STATE_FILE + ".partial")
        torch.save(state, partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(self.folder / STATE_FILE)

    def resume(self) -> bool:
        """Take up the state in the folder; False when there is none.

        Raises:
            ValueError: the state is damaged, or belongs to another architecture, to another recipe (the budget may
                change) or to other files.
        """
        path = self.folder / STATE_FILE
        if not path.exists():
            return False
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:  # torch.load has no error of its own
            raise ValueError(f"{path} is damaged: {error}") from error
        if differing := self.config.differing(parse_config(state["config"], path)):
            named = ", ".join(differing)
            raise ValueError(f"{path} holds a network of another shape ({named}); choose another run folder")
        free = {"tokens", "hours"}
        recorded = {"evidence": 0.0, **state["recipe"]}  # states from before there was evidence had none
        changed = {k for k, v in asdict(self.recipe).items() if k not in free and recorded.get(k) != v}
        if changed:
            raise ValueError(f"{path} was trained with another {', '.join(sorted(changed))}; choose another run folder")
        self._check_files(path, state.get("files"), state["curriculum"][0])
        self.model.load_state_dict(state["model"])
        self.average.values = state["average"]
        if self.marker is not None:
            self.marker.load_state_dict(state["marker"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        before = replace(self.recipe, tokens=recorded["tokens"], hours=recorded["hours"])
        if was_spent := self.progress.spent(before):
            self.progress.stage_from *= self.progress.spent(self.recipe) / was_spent
        self.curriculum.stage, self.curriculum.epoch, self.curriculum.used = state["curriculum"]
        return True

    def _check_files(self, path: Path, recorded: list[str] | None, stage: int) -> None:
        """Refuse other files up to the open stage; states from before they were recorded are counted."""
        given = self.curriculum.names
        trained = given if recorded is None else recorded
        for index in range(stage + 1):
            if given[index : index + 1] != trained[index : index + 1] or index >= len(given):
                name = trained[index] if index < len(trained) else f"{stage + 1} files"
                other = given[index] if index < len(given) else "nothing"
                raise ValueError(f"{path} was trained on {name}, and {other} stands in its place")

    def start_from(self, checkpoint: Path) -> None:
        """Take the weights of a checkpoint as the start, instead of random ones.

        Raises:
            CheckpointError: it is not readable.
            ValueError: it is a network of another shape.
        """
        if differing := self.config.differing(read_config(checkpoint)):
            raise ValueError(f"{checkpoint} holds a network of another shape ({', '.join(differing)})")
        loaded = load_model(checkpoint, dtype=torch.float32, device=self.device)
        self.model.load_state_dict(loaded.state_dict())
        self.average = Average(self.model, self.recipe.ema)

    def averaged(self) -> dict[str, Tensor]:
        """The state dict to export."""
        return self.average.state(self.model)


class _Swapped:
    """Within it, the network carries the averaged weights."""

    def __init__(self, model: HrmText, average: Average) -> None:
        self._parameters = {name: p for name, p in model.named_parameters() if name in average.values}
        self._average = average

    def _swap(self) -> None:
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                kept = parameter.detach().clone()
                parameter.copy_(self._average.values[name])
                self._average.values[name] = kept

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *exception: object) -> None:
        self._swap()


def _moved(average: float, value: float) -> float:
    return value if average != average else 0.98 * average + 0.02 * value
