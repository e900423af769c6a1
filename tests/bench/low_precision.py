"""What int8 and int4 cost and save: speed, memory and quality of each setting, beside bf16, in one run.

Quality is the bundled model's: exact match on its held-out sets, how often a setting's likeliest token is fp32's while
fp32's answers are read, and how many whole answers differ from fp32's. Speed is that of a network with the 1B model's
widths, random weights, a small vocabulary and --layers layers a stack (the 1B has 16), all settings taking turns. The
products alone are timed too, as the ceiling, and scaled to the 1B's 128 layers a token: bytes of weights a step over
the bandwidth bound them at batch 1, the arithmetic at 32 and beyond.

    OMP_NUM_THREADS=1 python -m tests.bench.low_precision --cpu-time     # on a machine that others use
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from hrm_model.compiled.choose import compiled_step
from hrm_model.config import HrmConfig, read_config
from hrm_model.loading import load_engine, load_placed
from hrm_model.model import HrmText
from hrm_model.pages import PAGE_TOKENS, pages_for
from hrm_model.placement import Placement, place
from hrm_model.projections.choose import Project, Weights, projections
from hrm_model.runner import Runner
from hrm_model.sequence import Sequence as Running
from hrm_model.template import spell
from hrm_model.tokenizer import load_tokenizer
from hrm_model.training.grounded import LEVELS, Example, Split, examples
from hrm_model.types import Question, Sampling
from tests.bench.mini_quality import Held, answers, share
from tests.bench.one_b import ONE_B, write_random

BATCHES = (1, 8, 32)
KINDS: tuple[Weights, ...] = ("auto", "int8", "int4")
PROMPT, PREFILL = 64, 512
SPLITS: tuple[Split, ...] = ("names", "wordings")
SETTINGS: dict[str, dict[str, str]] = {
    "fp32": {"dtype": "float32"},
    "bf16": {"dtype": "bfloat16"},
    "int8": {"weights": "int8"},
    "int4": {"weights": "int4"},
    "int8, int8 K/V": {"weights": "int8", "kv_dtype": "int8"},
    "int4, int8 K/V": {"weights": "int4", "kv_dtype": "int8"},
}


@dataclass(frozen=True)
class Clock:
    """What time is counted by."""

    now: Callable[[], float]

    def seconds(self, work: Callable[[], object]) -> float:
        began = self.now()
        work()
        return self.now() - began


def placed(config: HrmConfig, setting: Mapping[str, str], dtype: str = "auto") -> Placement:
    return place(
        config,
        dtype=setting.get("dtype", dtype),
        device="cpu",
        kv_bytes=1 << 30,
        max_running=64,
        weights=setting.get("weights", "auto"),
        kv_dtype=setting.get("kv_dtype", "auto"),
    )


# Quality, by the bundled model.


def quality(folder: Path, count: int, seed: int, passages: int) -> dict[str, dict[str, float]]:
    """For each setting exact match on each split, agreement of likeliest tokens with fp32, and answers that differ."""
    level = replace(LEVELS[-1], passages=(passages, passages))
    batches: dict[str, list[Example]] = {split: list(islice(examples(seed, level, split), count)) for split in SPLITS}
    found: dict[str, dict[str, float]] = {}
    plain: dict[str, list[str]] = {}
    for name, setting in SETTINGS.items():
        engine = load_engine(folder, draft_tokens=0, **setting)  # type: ignore[arg-type]
        engine.start()
        said = {split: asyncio.run(answers(engine, batch, Held(is_to_spans=True))) for split, batch in batches.items()}
        engine.close()
        plain = plain or said
        right = {
            split: share([t == e.response for t, e in zip(said[split], batches[split], strict=True)]) for split in said
        }
        differ = share([a != b for split in said for a, b in zip(said[split], plain[split], strict=True)])
        found[name] = {**right, "answers_differ": differ}
    told = [(example, text) for split in SPLITS for example, text in zip(batches[split], plain[split], strict=True)]
    for name, agreement in zip(SETTINGS, agreements(folder, told[:count]), strict=True):
        found[name]["top1"] = agreement
    return found


def agreements(folder: Path, told: Sequence[tuple[Example, str]]) -> list[float]:
    """For each setting the share of fp32's answer tokens that it holds likeliest in their places."""
    config, tokenizer = read_config(folder), load_tokenizer(folder)
    chosen: list[list[Tensor]] = []
    for setting in SETTINGS.values():
        placement = placed(config, setting)
        model = load_placed(folder, placement)
        mine = []
        for example, text in told:
            prompt, answer = spell(Question(example.instruction), tokenizer), tokenizer.encode(text)
            mine.append(likeliest(model, placement, prompt, answer))
        chosen.append(mine)
    return [share([bool(same) for a, b in zip(mine, chosen[0], strict=True) for same in a == b]) for mine in chosen]


def likeliest(model: HrmText, placement: Placement, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    """(A + 1,) the likeliest token in each place of an answer that is given, and after it."""
    runner, (sequence,) = begun(model, placement, 1, prompt, len(answer) + 1)
    chosen = []
    with torch.inference_mode():
        for token in (*answer, None):
            chosen.append(runner.forward([sequence])[0].argmax())
            if token is not None:
                sequence.ids.append(token)
    return torch.stack(chosen)


def begun(
    model: HrmText, placement: Placement, batch: int, prompt: Sequence[int], room: int
) -> tuple[Runner, list[Running]]:
    """A runner with a cache of its own, and so many sequences that have not been read."""
    each = pages_for(len(prompt) + room)
    cache = placement.cache(model.config, each * batch)
    runner = Runner(model, cache, "cpu", compiled_step(model, cache))
    return runner, [
        Running(i, 0, list(prompt), len(prompt), Sampling(seed=0), room, list(range(i * each, (i + 1) * each)))
        for i in range(batch)
    ]


# Speed, by the 1B model's widths.


@dataclass
class Served:
    """One setting's network, with batches that are being written."""

    placement: Placement
    model: HrmText
    batches: dict[int, tuple[Runner, list[Running]]]

    def step(self, batch: int) -> None:
        runner, sequences = self.batches[batch]
        with torch.inference_mode():
            runner.forward(sequences)
        for sequence in sequences:
            sequence.ids.append(7)

    def prefill(self) -> None:
        runner, sequences = begun(self.model, self.placement, 1, [7] * PREFILL, PAGE_TOKENS)
        with torch.inference_mode():
            runner.forward(sequences)


def speed(layers: int, rounds: int, clock: Clock) -> dict[str, dict[str, float]]:
    """For each setting the milliseconds of a decode step in each batch, and prompt tokens a second."""
    config = replace(ONE_B, layers_per_stack=layers, vocab_size=4096)
    names = [name for name in SETTINGS if name != "fp32"]
    with TemporaryDirectory() as made:
        write_random(Path(made), config)
        served = {name: serve(Path(made), placed(config, SETTINGS[name], dtype="bfloat16"), rounds) for name in names}
    times: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for number in range(rounds):
        for name in names if number % 2 else reversed(names):
            for batch in BATCHES:
                seconds = clock.seconds(lambda name=name, batch=batch: served[name].step(batch))  # type: ignore[misc]
                times[name].setdefault(f"decode_{batch}_ms", []).append(seconds * 1e3)
            if number < max(1, rounds // 4):
                times[name].setdefault("prefill_tokens_s", []).append(PREFILL / clock.seconds(served[name].prefill))
    return {name: {what: statistics.median(all_) for what, all_ in taken.items()} for name, taken in times.items()}


def serve(folder: Path, placement: Placement, rounds: int) -> Served:
    model = load_placed(folder, placement)
    one = Served(
        placement, model, {batch: begun(model, placement, batch, [7] * PROMPT, rounds + 2) for batch in BATCHES}
    )
    for batch in BATCHES:  # reads the prompts, then warms up
        one.step(batch)
        one.step(batch)
    return one


def ceilings(rounds: int, clock: Clock) -> dict[str, dict[str, float]]:
    """For each number format the tokens a second of the 1B model if it were its stacks' products alone."""
    inner, width, feed = ONE_B.num_heads * ONE_B.head_dim, ONE_B.hidden_size, ONE_B.intermediate_size
    shapes = ((4 * inner, width), (width, inner), (2 * feed, width), (width, feed)) * 2
    makers: dict[str, Project] = {
        "bf16, as torch has it": linear,
        **{kind: projections(kind, torch.bfloat16, "cpu") or linear for kind in KINDS},
    }
    weights = [torch.randn(shape, dtype=torch.bfloat16) * shape[1] ** -0.5 for shape in shapes]
    layers = {name: [make(weight) for weight in weights] for name, make in makers.items()}
    found: dict[str, dict[str, float]] = {name: {} for name in makers}
    with torch.inference_mode():
        for batch in (*BATCHES, PREFILL):
            inputs = [torch.randn(batch, shape[1], dtype=torch.bfloat16) for shape in shapes]
            times: dict[str, list[float]] = {name: [] for name in makers}
            for _ in range(rounds + 1):
                for name, linears in layers.items():
                    pairs = list(zip(linears, inputs, strict=True))
                    times[name].append(clock.seconds(lambda pairs=pairs: [one(x) for one, x in pairs]))  # type: ignore[misc]
            for name, taken in times.items():
                layer_s = statistics.median(taken[1:]) / 2
                found[name][str(batch)] = batch / (layer_s * ONE_B.slots)
    return found


def linear(weight: Tensor) -> torch.nn.Module:
    made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
    made.load_state_dict({"weight": weight})
    return made.requires_grad_(False)


def memory() -> dict[str, dict[str, float]]:
    """Of the 1B shape: bytes of weights and bytes a token of cache, and both as shares of bf16's."""
    found = {}
    whole = placed(ONE_B, SETTINGS["bf16"])
    for name, setting in SETTINGS.items():
        placement = placed(ONE_B, setting)
        weights, token = placement.weight_bytes(ONE_B), placement.kv_token_bytes(ONE_B)
        found[name] = {
            "weights_gb": weights / 1e9,
            "of_bf16": weights / whole.weight_bytes(ONE_B),
            "kv_token_kib": token / 1024,
            "kv_of_bf16": token / whole.kv_token_bytes(ONE_B),
        }
    return found


def table(title: str, rows: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n{title}\n{'':22}" + "".join(f"{column:>18}" for column in columns))
    for name, row in rows.items():
        print(f"{name:22}" + "".join(f"{row[column]:18.3f}" for column in columns))


def main() -> None:
    """Print the tables, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("hrm_model/mini"))
    parser.add_argument("--count", type=int, default=300, help="examples of each split; 0 leaves quality out")
    parser.add_argument("--passages", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--layers", type=int, default=2, help="layers a stack in the timed network; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--cpu-time", action="store_true", help="count this process's CPU seconds, not the clock's")
    arguments = parser.parse_args()
    clock = Clock(time.process_time if arguments.cpu_time else time.perf_counter)
    result: dict[str, object] = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cpu_time": arguments.cpu_time,
        "layers": arguments.layers,
        "rounds": arguments.rounds,
        "n": arguments.count,
        "memory_1b": memory(),
    }
    table("the 1B model in memory", memory())
    result["products_tokens_s"] = products = ceilings(arguments.rounds, clock)
    table("tokens a second of the 1B model, products alone, by rows in a step", products)
    if arguments.layers:
        result["speed"] = timed = speed(arguments.layers, arguments.rounds, clock)
        table(f"a network of the 1B's widths, {arguments.layers} layers a stack", timed)
    if arguments.count:
        result["quality"] = good = quality(arguments.model, arguments.count, arguments.seed, arguments.passages)
        table(f"{arguments.model.name}, {arguments.count} questions a split", good)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
