"""The command line of `hrm-serve train`: arguments in, a progress bar, errors in words."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hrm_model.errors import CheckpointError
from hrm_model.training.pairs import BadPair
from hrm_model.training.recipe import Recipe
from hrm_model.training.run import Shape, train
from hrm_model.training.trainer import Progress as Standing
from hrm_model.training.vectors import Embed

# Fields of the recipe and the shape that are flags, with what they mean to whoever types them.
RECIPE_FLAGS = {
    "batch_tokens": "tokens in a step, padding included",
    "longest_pair": "pairs of more tokens are left out",
    "learning_rate": "of AdamW, at its peak",
    "weight_decay": "of AdamW",
    "warmup_steps": "steps until the peak learning rate",
    "decay": "share of the budget in which the learning rate falls to zero",
    "ema": "decay of the average of the weights, which is what is exported",
    "clip": "largest gradient norm",
    "gradient_steps": "recurrent steps that back-propagate, after their warm-up from 2",
    "gradient_warmup": "share of the budget in which those steps grow",
    "evidence": "weight of telling which tokens of the prompt the response rests on; 0: `evidence` is not read",
    "advance_at": "held-out exact match that opens the next file",
    "stage_share": "share of the budget after which the next file opens all the same",
    "replay": "share of later stages' pairs that comes from earlier files",
    "held_out": "pairs at the head of each file that are scored on and never trained on",
    "evaluate_every": "steps between scorings",
    "start": "of attention: random, or reading, with heads that match, look at neighbours and copy",
    "seed": "of the weights and of the order of pairs",
}
SHAPE_FLAGS = {
    "hidden_size": "a multiple of 64, the head size",
    "intermediate_size": "width of the feed-forward part",
    "layers_per_stack": "layers of H and of L",
    "vocab_size": "entries of the tokenizer and rows of the embedding",
    "context": "positions, prompt and answer together",
    "max_context_tokens": "passages that the server should pack into a prompt",
}


def parser() -> argparse.ArgumentParser:
    """The arguments; defaults are the recipe's and the shape's own."""
    out = argparse.ArgumentParser(
        prog="hrm-serve train",
        description="Pretrain an HRM-Text from scratch on JSONL of instruction, response and condition; with "
        "--evidence of evidence, the part of the instruction that the response rests on (null: nothing there answers).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    out.add_argument("data", nargs="+", type=Path, help="JSONL files, the easiest first; each is one stage")
    out.add_argument("--out", type=Path, required=True, help="folder of the checkpoint; a run there is gone on with")
    budget = out.add_mutually_exclusive_group(required=True)
    budget.add_argument("--tokens", type=_tokens, default=None, help="budget in training tokens, such as 3e7")
    budget.add_argument("--hours", type=float, default=None, help="budget in hours of training steps")
    out.add_argument("--init", type=Path, default=None, help="a checkpoint of the same shape to start from")
    words = "start the embedding from the embedder's vectors of the vocabulary's entries"
    out.add_argument("--words", action="store_true", help=words)
    out.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    out.add_argument("--compile", action="store_true", help="torch.compile the stacks (a CPU needs a C++ compiler)")
    out.add_argument("--untied", action="store_true", help="give the head weights of its own")
    extractive = "every response stands in its instruction, word for word; the server then withholds what does not"
    out.add_argument("--extractive", action="store_true", help=extractive)
    for flags, kind in ((RECIPE_FLAGS, Recipe(tokens=1)), (SHAPE_FLAGS, Shape())):
        for name, meaning in flags.items():
            default = getattr(kind, name)
            out.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=meaning)
    return out


def _tokens(text: str) -> int:
    try:
        return int(float(text))  # so that 3e7 is a number of tokens
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of tokens") from None


def main(arguments: Sequence[str], embed: Embed) -> int:
    """Run; returns the exit status: 0 trained, 1 refused, 2 wrong arguments, 130 interrupted.

    Args:
        embed: the embedder that `--words` speaks of.
    """
    chosen = parser().parse_args(arguments)
    shape = Shape(
        tied=not chosen.untied,
        extractive=chosen.extractive,
        **{name: getattr(chosen, name) for name in SHAPE_FLAGS},
    )
    console = Console(stderr=True)
    try:
        given = {name: getattr(chosen, name) for name in RECIPE_FLAGS}
        recipe = Recipe(tokens=chosen.tokens, hours=chosen.hours, **given)
        standing = _train(chosen, shape, recipe, console, embed)
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on from the last saved state")
        return 130
    except (BadPair, CheckpointError, ValueError, OSError, FloatingPointError) as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        return 1
    matches = ", ".join(f"{chosen.data[stage].name} {match:.3f}" for stage, match in sorted(standing.matches.items()))
    sys.stdout.write(
        f"{chosen.out}: {standing.step} steps, {standing.tokens:,} tokens; held-out exact match: {matches}\n"
    )
    return 0


def _train(chosen: argparse.Namespace, shape: Shape, recipe: Recipe, console: Console, embed: Embed) -> Standing:
    columns = (
        TextColumn("stage {task.fields[stage]}  step {task.fields[step]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  loss {task.fields[loss]}  {task.fields[rate]:,.0f} tokens/s"),
        TextColumn("exact {task.fields[match]}  left {task.fields[left]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        task = bar.add_task("", total=1.0, stage=0, step=0, loss="-", rate=0.0, match="-", left="-")
        lines = 0

        def report(standing: Standing, stage: int) -> None:
            nonlocal lines
            spent = standing.spent(recipe)
            left_s = standing.seconds * (1 - spent) / spent if spent else float("nan")
            match = f"{standing.matches[stage]:.3f}" if stage in standing.matches else "-"
            left = f"{left_s / 60:.0f} min"
            loss = f"{standing.loss:.3f}" + (f", of evidence {standing.evidence_loss:.3f}" if recipe.evidence else "")
            if console.is_terminal:
                bar.update(task, completed=spent, stage=stage, step=standing.step, loss=loss,
                           rate=standing.tokens_per_s, match=match, left=left, refresh=True)  # fmt: skip
            elif standing.step // 50 > lines:
                lines = standing.step // 50
                console.print(
                    f"stage {stage} step {standing.step} {spent:.1%} loss {loss} exact {match} "
                    f"{standing.tokens_per_s:,.0f} tokens/s left {left}",
                    highlight=False,
                )

        return train(
            chosen.data,
            chosen.out,
            shape,
            recipe,
            report=report,
            init=chosen.init,
            words=embed if chosen.words else None,
            device=chosen.device,
            compile=chosen.compile,
        )
