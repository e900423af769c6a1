"""What `save_checkpoint` writes, read by vLLM: the same greedy tokens. `make test-vllm` runs it.

Both compute in fp32 on weights stored in bf16, so that only the order of summation differs: tokens may differ
only where our logit of vLLM's token is less than 1e-3 behind our largest.
"""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrm_model.config import read_config
from hrm_model.weights import load_model, save_checkpoint
from tests.checkpoints import Shape, reference, save
from tests.parity.decoding import Decoding

pytestmark = pytest.mark.vllm

TOKENS = 32
NEAR_TIE = 1e-3
SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


def vllm_answers(folder: Path, prompts: list[list[int]]) -> list[list[int]]:
    """Greedy answers by the Python that VLLM_PYTHON names."""
    done = subprocess.run(
        [os.environ["VLLM_PYTHON"], str(Path(__file__).with_name("greedy_by_vllm.py")), str(folder)],
        input=json.dumps({"prompts": prompts, "max_tokens": TOKENS}),
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers: list[list[int]] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_vllm_answers_with_the_same_tokens(tmp_path: Path, tied: bool, capsys: pytest.CaptureFixture[str]) -> None:
    shape = replace(Shape(), tied=tied)
    made = save(reference(shape), tmp_path / "made")
    folder = tmp_path / "saved"
    config = replace(read_config(made), dtype="bfloat16")
    save_checkpoint(folder, config, load_model(made).state_dict(), {"eos_token_id": 5, "pad_token_id": 0})
    generator = torch.Generator().manual_seed(5)
    prompts = [torch.randint(8, shape.vocab, (4 + 9 * i,), generator=generator).tolist() for i in range(10)]

    theirs = vllm_answers(folder, prompts)

    decoding = Decoding(load_model(folder, dtype=torch.float32), prompts)
    ties = 0
    for step in range(TOKENS):
        logits_BV = decoding.logits()
        chosen = [answer[step] for answer in theirs]
        # Teacher-forced with vLLM's tokens, so that an answer goes on being compared after a near tie.
        behind_B = logits_BV.max(-1).values - logits_BV[range(len(chosen)), chosen]
        assert float(behind_B.max()) < NEAR_TIE, f"token {step} of prompt {int(behind_B.argmax())} differs"
        ties += int((behind_B > 0).sum())
        decoding.feed(chosen)
    assert min(len(set(answer)) for answer in theirs) >= TOKENS // 2, "answers that repeat themselves cannot fail"
    with capsys.disabled():
        print(f" [{ties} of {TOKENS * len(prompts)} tokens differ at a near tie] ", end="")
