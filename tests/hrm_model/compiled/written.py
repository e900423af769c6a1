"""Random networks, and sequences of theirs whose prompts torch has read."""

from collections.abc import Sequence as Items

import torch
from torch import Tensor

from hrm_model.cache import PagedCache
from hrm_model.cache_int8 import Int8Cache
from hrm_model.compiled.step import CompiledStep
from hrm_model.config import HrmConfig
from hrm_model.layers import GatedAttention, SwiGlu
from hrm_model.model import HrmText
from hrm_model.pages import pages_for
from hrm_model.projections.choose import Panelled, Weights, projections
from hrm_model.projections.int4 import rounded_to_int4
from hrm_model.projections.int8 import rounded_to_int8
from hrm_model.runner import Runner
from hrm_model.sequence import Sequence
from hrm_model.types import Sampling

PROMPTS = (40, 3, 21, 33, 16, 7, 64)  # more than share the read of a panel
STEPS = 4
SHAPES = {
    # Heads of four panels, a vocabulary that ends within a panel, several layers.
    "heads of 64": HrmConfig(
        vocab_size=301,
        hidden_size=128,
        intermediate_size=256,
        layers_per_stack=2,
        num_heads=2,
        head_dim=64,
        max_position_embeddings=128,
        embedding_scale=20.0,
        dtype="float32",
    ),
    # Panels that do not come in fours, anywhere.
    "heads of 48": HrmConfig(
        vocab_size=250,
        hidden_size=144,
        intermediate_size=96,
        layers_per_stack=1,
        num_heads=3,
        head_dim=48,
        max_position_embeddings=128,
        embedding_scale=20.0,
        H_cycles=1,
        L_cycles=2,
        dtype="float32",
    ),
}


def network(config: HrmConfig, *, in_bf16: bool = False) -> HrmText:
    """Random weights, all of them fp32 numbers or all of them bf16 ones."""
    model = HrmText(config).requires_grad_(False).eval()
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        std = {"z_L_init": 1.0, "lm_head": 0.1, "embed": 0.05}
        parameter.normal_(
            std=next((value for part, value in std.items() if part in name), 1.5 * parameter.shape[-1] ** -0.5),
            generator=generator,
        )
        if in_bf16:
            parameter.copy_(parameter.bfloat16())
    return model


def exact_and_served(config: HrmConfig, weights: Weights, panels: Panelled) -> tuple[HrmText, HrmText]:
    """A network in fp32 whose weights are numbers that the other's can be, and the same as serving loads it in bf16."""
    exact = network(config, in_bf16=True)
    served = HrmText(config).requires_grad_(False).eval()
    served.load_state_dict(exact.state_dict())
    project = projections(weights, torch.bfloat16, "cpu", panels)
    assert project is not None
    for name, module in list(exact.named_modules()):
        parent = exact.get_submodule(name.rpartition(".")[0])
        if isinstance(module, torch.nn.Linear) and isinstance(parent, GatedAttention | SwiGlu):
            served.set_submodule(name, project(module.weight))
            module.weight.copy_(as_rounded(module.weight, weights))
    return exact, served.bfloat16()


def as_rounded(weight_OI: Tensor, weights: Weights) -> Tensor:
    """What a weight is once it is rounded."""
    match weights:
        case "auto":
            return weight_OI
        case "int8":
            whole_OI, scale_O = rounded_to_int8(weight_OI)
            return whole_OI * scale_O[:, None]
        case "int4":
            rounded = rounded_to_int4(weight_OI).first(len(weight_OI))
            return rounded.int8_OI * rounded.scale_O[:, None]


class Written:
    """Sequences whose prompts torch has read, to be written on by the compiled step."""

    def __init__(
        self,
        model: HrmText,
        numbers: Items[int],
        *,
        threads: int = 1,
        scattered: bool = False,
        is_wide: bool | None = None,
        in_int8: bool = False,
    ) -> None:
        each = pages_for(max(PROMPTS) + 16)
        dtype = model.model.embed_tokens.weight.dtype
        kind = Int8Cache if in_int8 else PagedCache
        self.kept: PagedCache | Int8Cache = kind(model.config, each * len(numbers), dtype=dtype, device="cpu")
        pages = list(range(self.kept.pages))
        if scattered:
            pages = torch.randperm(len(pages), generator=torch.Generator().manual_seed(1)).tolist()
        self.by_torch = Runner(model, self.kept, "cpu")
        self.compiled = CompiledStep(model, self.kept, threads=threads, is_wide=is_wide)
        self.runner = Runner(model, self.kept, "cpu", self.compiled)
        self.sequences = [
            Sequence(number, 0, ids_of(number), PROMPTS[number] - number % 3, Sampling(), 16, mine)
            for number, mine in zip(numbers, (pages[at * each :][:each] for at in range(len(numbers))), strict=True)
        ]
        with torch.inference_mode():
            for sequence in self.sequences:
                self.by_torch.forward([sequence])
                sequence.ids.append(20 + sequence.request)

    @property
    def cache(self) -> PagedCache:
        """The keys and values, where they are not rounded."""
        assert isinstance(self.kept, PagedCache)
        return self.kept

    def step(self, runner: Runner) -> Tensor:
        """The logits of a step; the same answers follow whatever they are."""
        with torch.inference_mode():
            logits_BV = runner.forward(self.sequences)
        for sequence in self.sequences:
            sequence.ids.append(answer_of(sequence.request, len(sequence.ids)))
        return logits_BV


def ids_of(number: int) -> list[int]:
    generator = torch.Generator().manual_seed(number)
    return torch.randint(8, 240, (PROMPTS[number],), generator=generator).tolist()


def answer_of(number: int, position: int) -> int:
    return 20 + (7 * position + 31 * number) % 200


EVERYONE = range(len(PROMPTS))


def drafted_and_token_by_token(model: HrmText, *, in_int8: bool = False) -> tuple[Tensor, Tensor]:
    """(3, STEPS, V) logits of three answers, which are known ahead in the one and not in the other."""
    slowly, at_once = (Written(model, EVERYONE[:3], in_int8=in_int8) for _ in range(2))
    token_by_token = torch.stack([slowly.step(slowly.runner) for _ in range(STEPS)], dim=1)
    for sequence in at_once.sequences:
        sequence.draft = [answer_of(sequence.request, len(sequence.ids) + ahead) for ahead in range(STEPS - 1)]
    return at_once.step(at_once.runner).view(3, STEPS, -1), token_by_token
