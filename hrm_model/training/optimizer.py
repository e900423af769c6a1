"""AdamW for every weight, and an average of the weights."""

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from hrm_model.model import HrmText
from hrm_model.training.recipe import Recipe


def optimizer(model: HrmText, recipe: Recipe, marker: nn.Module | None = None) -> Optimizer:
    """AdamW over all that is trained, a marker too; see DECISIONS.md for why not the paper's AdamATan2."""
    return AdamW(trained(model, marker), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)


def trained(model: HrmText, marker: nn.Module | None = None) -> list[nn.Parameter]:
    """The parameters that are learned."""
    modules = (model,) if marker is None else (model, marker)
    return [p for module in modules for p in module.parameters() if p.requires_grad]


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Take steps at `rate` from now on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


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
