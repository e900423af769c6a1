"""How fast a fresh network learns to find one of several pairs: the skill that reading passages rests on.

A prompt of random ids lists four (subject, value) pairs; the answer names the subjects in another order and each time
the value has to follow. Nothing but matching helps. Accuracy 0.25 is what copying any of the four values gives.
With --grow the alphabets start small and double whenever 95 % are right; without it they are large from the start.

    python -m tests.bench.recall --grow --rate 5e-4
"""

import argparse
import json
import time

import numpy as np
import torch
from torch.nn import functional

from hrm_model.config import HrmConfig
from hrm_model.training.objective import PackedAttention
from hrm_model.training.optimizer import optimizer, set_rate
from hrm_model.training.packing import IGNORED, PackedBatch, attention_bias
from hrm_model.training.pairs import UNTOLD
from hrm_model.training.recipe import Recipe
from hrm_model.training.start import STARTS, initialise

PAIRS = 4
SUBJECTS, VALUES, VOCABULARY = 400, 500, 1024  # ids 10.. are subjects, 500.. values
PROMPT = 6 * PAIRS + 5
WARMUP = 60


def batch(rng: np.random.Generator, rows: int, subjects: int, values: int) -> PackedBatch:
    """Rows of one prompt and one answer each, with targets on the values alone."""
    length = PROMPT + 2 * PAIRS
    ids, target = np.zeros((rows, length), dtype=np.int64), np.full((rows, length), IGNORED)
    for row in range(rows):
        named = 10 + rng.choice(subjects, PAIRS, replace=False)
        held = 500 + rng.integers(0, values, PAIRS)
        kind = int(rng.integers(410, 430))
        ids[row, :PROMPT] = [x for s, v in zip(named, held, strict=True) for x in (5, kind, 6, s, 7, v)] + [
            8,
            kind,
            6,
            3,
            9,
        ]
        for at, pair in enumerate(rng.permutation(PAIRS)):
            ids[row, PROMPT + 2 * at : PROMPT + 2 * at + 2] = named[pair], held[pair]
            target[row, PROMPT + 2 * at] = held[pair]
    in_prompt = (torch.arange(length) < PROMPT).expand(rows, length)
    bias = attention_bias(torch.zeros(rows, length, dtype=torch.int32), in_prompt)
    position = torch.arange(length).repeat(rows)
    untold = torch.full_like(position, UNTOLD, dtype=torch.int8)
    return PackedBatch(
        torch.from_numpy(ids).flatten(), position, torch.from_numpy(target).flatten(), untold, bias, ids.size
    )


def main() -> None:
    """Print progress, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--l-cycles", type=int, default=3)
    parser.add_argument("--gradient-steps", type=int, default=5)
    parser.add_argument("--grow", action="store_true", help="begin with 20 subjects and 20 values")
    parser.add_argument("--start", choices=STARTS, default="reading", help="of attention")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    config = HrmConfig(VOCABULARY, 256, 512, 2, 4, 64, 512, 16.0, L_cycles=arguments.l_cycles, tie_word_embeddings=True)
    model = initialise(config, 0, arguments.start)
    recipe = Recipe(tokens=1, learning_rate=arguments.rate)
    chosen = optimizer(model, recipe)
    subjects, values = (20, 20) if arguments.grow else (SUBJECTS, VALUES)
    accuracy, solved, began = 0.0, {}, time.perf_counter()
    for step in range(1, arguments.steps + 1):
        set_rate(chosen, arguments.rate * min(1.0, step / WARMUP))
        packed = batch(rng, arguments.rows, subjects, values)
        with torch.autocast("cpu", torch.bfloat16):
            attend = PackedAttention(packed.bias_BTT)
            slow_TD = model(packed.ids_T, packed.position_T, attend, gradient_steps=arguments.gradient_steps)
            at = (packed.target_T != IGNORED).nonzero().squeeze(1)
            logits_AV = model.logits(slow_TD[at]).float()
        loss = functional.cross_entropy(logits_AV, packed.target_T[at])
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        chosen.step()
        chosen.zero_grad()
        right = float((logits_AV.argmax(-1) == packed.target_T[at]).float().mean())
        accuracy = 0.95 * accuracy + 0.05 * right
        if step % 100 == 0:
            print(
                f"step {step} of {subjects} subjects: loss {float(loss.detach()):.3f}, right {accuracy:.3f}", flush=True
            )
        if accuracy > 0.95:
            solved[subjects] = step
            if subjects >= SUBJECTS:
                break
            subjects, values, accuracy = min(SUBJECTS, 2 * subjects), min(VALUES, 2 * values), 0.0
    seconds = round(time.perf_counter() - began)
    print(json.dumps({**vars(arguments), "solved_at_step": solved, "right": round(accuracy, 3), "seconds": seconds}))


if __name__ == "__main__":
    main()
