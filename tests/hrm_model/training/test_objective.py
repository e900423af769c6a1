"""What is learned from: the passes that back-propagate, and the score that opens the next stage.

Gradients are compared in fp32; 1e-4 of the largest is what two orders of summation differ by.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from hrm_model.loading import load_engine
from hrm_model.model import HrmText, passes_with_gradient
from hrm_model.template import END_ANSWER, PAD
from hrm_model.tokenizer import load_tokenizer
from hrm_model.training.objective import Marker, PackedAttention, exact_match, losses
from hrm_model.training.packing import IGNORED, PackedBatch, pack
from hrm_model.training.pairs import EVIDENCE, UNTOLD, encode_pairs, read_pairs
from hrm_model.training.start import initialise
from hrm_model.types import Question, Sampling, Text
from hrm_model.weights import save_checkpoint
from tests.hrm_model.training.copying import config, encoded, tasks, tokenizer, with_evidence, write


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> PackedBatch:
    folder = tmp_path_factory.mktemp("batch")
    pairs = encoded(write(folder / "data.jsonl", tasks(10, words=2)), folder)
    return next(pack(pairs, np.arange(len(pairs)), 4, 64))[0]


def gradients(model: HrmText, batch: PackedBatch, steps: int, *, autocast: bool = False) -> dict[str, torch.Tensor]:
    model.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss, _ = losses(model, batch, steps)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_slow_passes_come_first_and_then_the_fast_ones_nearest_to_them() -> None:
    chosen = [sorted(passes_with_gradient(config(), steps)) for steps in range(1, 9)]

    assert chosen == [
        [7],
        [3, 7],
        [3, 6, 7],
        [2, 3, 6, 7],
        [2, 3, 5, 6, 7],
        [1, 2, 3, 5, 6, 7],
        [1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3, 4, 5, 6, 7],
    ]


def as_transformers(name: str) -> list[str]:
    """The parameters that transformers splits one of the checkpoint's tensors into, in the order of its rows."""
    kinds = {"attn.gqkv_proj": ("gate", "q", "k", "v"), "attn.o_proj": ("o",), "mlp.gate_up_proj": ("gate", "up")}
    for kind, parts in kinds.items():
        if kind in name:
            block = "self_attn" if kind.startswith("attn") else "mlp"
            return [name.replace(kind, f"{block}.{part}_proj") for part in parts]
    return [name]


def test_five_steps_give_the_gradients_of_transformers_by_default(tmp_path: Path) -> None:
    from transformers import HrmTextForCausalLM

    path = write(tmp_path / "data.jsonl", tasks(1, words=3))
    pairs = encoded(path, tmp_path)
    ours = initialise(replace(config(), dtype="float32"), seed=2)
    save_checkpoint(tmp_path / "model", ours.config, ours.state_dict(), {})
    theirs = HrmTextForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).train()
    prefix, length = int(pairs.prefix[0]), pairs.length(0)
    ids = torch.from_numpy(pairs.pair(0).astype(np.int64))

    found = gradients(ours, next(pack(pairs, np.arange(1), 1, length))[0], 5)
    in_prompt = (torch.arange(length) < prefix).long()[None]
    logits = theirs(input_ids=ids[None], token_type_ids=in_prompt, use_cache=False).logits[0]
    functional.cross_entropy(logits[prefix - 1 : -1], ids[prefix:]).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    expected: dict[str, torch.Tensor] = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    assert theirs.config.L_bp_cycles == [2]
    for name, gradient in found.items():
        wanted = torch.cat([expected.pop(part) for part in as_transformers(name)])
        torch.testing.assert_close(gradient, wanted, atol=1e-4 * float(wanted.abs().max()), rtol=0)
    assert not expected, "they learn something that we do not"


def test_with_two_steps_the_embedding_learns_even_without_the_tied_heads_share(batch: PackedBatch) -> None:
    found = gradients(initialise(replace(config(), tie_word_embeddings=False), seed=3), batch, 2)

    assert float(found["model.embed_tokens.weight"].abs().max()) > 0
    assert not any("L_module" in name for name in found), "two steps are both passes of H"


@pytest.mark.parametrize("steps", [3, 5, 8])
def test_autocast_loses_no_gradient_to_the_passes_that_have_none(batch: PackedBatch, steps: int) -> None:
    """A weight that autocast cast and cached without gradient would stay without one in later passes."""
    model = initialise(config(), seed=3)
    exact, cast = gradients(model, batch, steps), gradients(model, batch, steps, autocast=True)

    assert cast.keys() == exact.keys()
    for name, gradient in exact.items():
        alike = functional.cosine_similarity(gradient.flatten(), cast[name].flatten(), dim=0)
        assert float(alike) > 0.99, name


def test_z_l_init_is_drawn_and_stays_as_it_is(batch: PackedBatch) -> None:
    model = initialise(config(), seed=3)

    assert "model.z_L_init" not in gradients(model, batch, 8)
    assert float(model.model.z_L_init.std()) == pytest.approx(1, abs=0.3)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> PackedBatch:
    folder = tmp_path_factory.mktemp("told")
    pairs = encoded(write(folder / "data.jsonl", with_evidence(tasks(10, words=2))), folder, with_evidence=True)
    return next(pack(pairs, np.arange(10), 4, 64))[0]


def test_evidence_is_scored_after_each_cycle_where_it_is_told(told: PackedBatch) -> None:
    model, marker = initialise(config(), seed=3), Marker(config())
    with torch.no_grad():
        marker.weight_CD.normal_(generator=torch.Generator().manual_seed(5))
        marker.bias_C.copy_(torch.tensor([0.5, -1.0]))
        slow_CTD = model.cycles(told.ids_T, told.position_T, PackedAttention(told.bias_BTT))
        answers, marked = losses(model, told, 5, marker)

        at = told.evidence_T != UNTOLD
        by_hand = [
            -functional.logsigmoid(torch.where(told.evidence_T[at] == EVIDENCE, score, -score)).mean()
            for score in (slow_TD[at] @ marker.weight_CD[c] + marker.bias_C[c] for c, slow_TD in enumerate(slow_CTD))
        ]
        torch.testing.assert_close(marked, torch.stack(by_hand).mean())
        torch.testing.assert_close(answers, losses(model, told, 5)[0], rtol=0, atol=0)


def test_what_is_told_of_the_first_cycle_teaches_it_alone(told: PackedBatch) -> None:
    model, marker = initialise(config(), seed=3), Marker(config())
    with torch.no_grad():
        marker.weight_CD[0] = 1.0

    losses(model, told, 5, marker)[1].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    assert float(marker.weight_CD.grad[0].abs().max()) > 0  # type: ignore[index]  # it has one
    assert all(float(p.grad.abs().max()) > 0 for p in model.model.H_module.parameters() if p.grad is not None)
    assert model.model.embed_tokens.weight.grad is not None


def test_of_a_batch_of_which_nothing_is_told_only_responses_are_learned(batch: PackedBatch) -> None:
    answers, marked = losses(initialise(config(), seed=3), batch, 5, Marker(config()))

    assert float(marked) == 0
    assert answers.requires_grad


@dataclass(frozen=True, slots=True)
class Trained:
    """A network that has learned some of its pairs, and not all."""

    model: HrmText
    folder: Path
    data: Path


@pytest.fixture(scope="module")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    data = write(folder / "data.jsonl", tasks(32, words=2))
    words = tokenizer(folder)
    pairs, _ = encode_pairs(read_pairs(data), words, longest=128)
    model = initialise(replace(config(), dtype="float32"), seed=4)
    learned = next(pack(pairs, np.arange(16), 8, 64))[0]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        losses(model, learned, 5)[0].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    ids = {"eos_token_id": words.control(END_ANSWER), "pad_token_id": words.control(PAD)}
    save_checkpoint(folder, model.config, model.state_dict(), ids)
    return Trained(model, folder, data)


def test_exact_match_is_that_of_greedy_decoding_by_the_engine(half_trained: Trained) -> None:
    records = list(read_pairs(half_trained.data))
    pairs, _ = encode_pairs(iter(records), load_tokenizer(half_trained.folder), longest=128)
    score = exact_match(half_trained.model, (one for one, _ in pack(pairs, np.arange(len(pairs)), 4, 64)))

    async def answers() -> list[str]:
        engine = load_engine(half_trained.folder, dtype="float32", device="cpu", kv_bytes=2**24)
        engine.start()
        said = []
        for pair in records:
            async with aclosing(engine.generate(Question(pair.instruction), Sampling(max_tokens=40))) as events:
                said.append("".join([event.text async for event in events if isinstance(event, Text)]))
        await engine.drain(5)
        return said

    right = [said == pair.response for said, pair in zip(asyncio.run(answers()), records, strict=True)]

    assert score == sum(right) / len(right)
    assert 0 < score < 1, "a network that knows all or nothing compares nothing"


def test_one_wrong_token_spoils_its_answer_and_no_other(half_trained: Trained) -> None:
    pairs, _ = encode_pairs(read_pairs(half_trained.data), load_tokenizer(half_trained.folder), longest=128)
    batch = next(pack(pairs, np.arange(12), 8, 64))[0]
    before = exact_match(half_trained.model, [batch])
    wanted = batch.target_T.clone()
    last = int((wanted != IGNORED).nonzero()[0])
    while wanted[last + 1] != IGNORED:
        last += 1
    wanted[last] = 7  # the closing token of the first answer

    after = exact_match(half_trained.model, [replace(batch, target_T=wanted)])

    assert before == 1
    assert after == pytest.approx(11 / 12)


def test_without_any_answer_the_score_is_nothing(half_trained: Trained) -> None:
    assert exact_match(half_trained.model, []) == 0
