"""Muon for the stacks' matrices, AdamW for the embedding and head, and an average of the weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from hrm_model.model import HrmText
from hrm_model.training.recipe import Recipe


def optimizers(model: HrmText, recipe: Recipe) -> dict[str, Optimizer]:
    """One optimizer per kind of parameter; see DECISIONS.md for why not the paper's AdamATan2."""
    matrices = [p for stack in (model.model.L_module, model.model.H_module) for p in stack.parameters()]
    inside = {id(p) for p in matrices}
    tables = [p for p in model.parameters() if p.requires_grad and id(p) not in inside]
    return {
        "matrices": Muon(
            matrices, lr=recipe.matrix_lr, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
        "tables": AdamW(tables, lr=recipe.embedding_lr, betas=(0.9, 0.98), weight_decay=0.0),
    }


def set_rates(optimizers: Mapping[str, Optimizer], recipe: Recipe, factor: float) -> None:
    """Scale both learning rates."""
    for name, base in (("matrices", recipe.matrix_lr), ("tables", recipe.embedding_lr)):
        for group in optimizers[name].param_groups:
            group["lr"] = base * factor


class Average:
    """An exponential moving average of the trained parameters; what is exported and scored."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.values = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the current weights; faster at first, when the start would weigh too much."""
        decay = min(self._decay, (1 + step) / (10 + step))
        trained = [p.detach() for name, p in model.named_parameters() if name in self.values]
        torch._foreach_lerp_(list(self.values.values()), trained, 1 - decay)

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """The model's state dict with the averaged values in place of the trained ones."""
        return {**{name: tensor.detach() for name, tensor in model.state_dict().items()}, **self.values}
