"""retrieval.entailment: the embedding model with its adapter, asked whether a source says what an answer says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from retrieval.claim import Claim
from retrieval.embedder import MiniLM
from retrieval.entailment import ADAPTER, Entailment, LowRank, tokens

SOURCE = "The sender is liable for damage caused by inadequate packaging."
SAID = Claim("Who pays?", "Damage that results from poor packaging is the sender's responsibility.", SOURCE, "Parcels")
NOT_SAID = Claim(
    "Who pays?", "The carrier pays for damage in transit.", "Parcels are delivered on weekdays.", "Parcels"
)


def test_a_rewording_is_likelier_said_than_something_else(embedder: MiniLM) -> None:
    said, other = embedder.entailed([SAID, NOT_SAID])

    assert 0 <= other < 0.3
    assert 0.7 < said <= 1


def test_the_model_that_is_adapted_stays_as_it_is(embedder: MiniLM) -> None:
    before = {name: each.clone() for name, each in embedder.network().named_parameters()}
    vector = embedder.embed(["Parcels"])

    embedder.entailed([SAID])

    after = dict(embedder.network().named_parameters())
    assert all(torch.equal(after[name], each) for name, each in before.items())
    assert np.array_equal(embedder.embed(["Parcels"]), vector)


def test_an_answer_depends_on_its_claim_alone(embedder: MiniLM) -> None:
    together = embedder.entailed([SAID, NOT_SAID])

    alone = [embedder.entailed([claim])[0] for claim in (SAID, NOT_SAID)]
    assert together == pytest.approx(alone, abs=1e-4)
    assert embedder.entailed([]) == []


def test_merging_changes_nothing_but_the_time() -> None:
    torch.manual_seed(1)
    layer = LowRank(torch.nn.Linear(8, 4))
    torch.nn.init.normal_(layer.up_DR)
    x = torch.randn(3, 8)

    with torch.inference_mode():
        expected = layer(x)
        found = layer.merged()(x)

    torch.testing.assert_close(found, expected)


def test_long_parts_are_cut_and_each_keeps_its_place(embedder: MiniLM) -> None:
    long = "word " * 500
    ids, kinds = tokens(Claim(long, long, long, long, long), embedder.encode, embedder.marks)

    assert len(ids) == len(kinds) == 256
    assert kinds == sorted(kinds)
    assert ids.count(embedder.marks[1]) == 5


def test_an_adapter_of_another_network_is_refused(embedder: MiniLM, tmp_path: Path) -> None:
    broken = load_file(ADAPTER)
    del broken["head.0.bias"]
    save_file(broken, tmp_path / "adapter.safetensors")

    with pytest.raises(ValueError, match=r"no adapter of this network: head\.0\.bias"):
        Entailment(embedder.network(), embedder.encode, embedder.marks, tmp_path / "adapter.safetensors")
    save_file({**broken, "head.0.bias": torch.zeros(1)}, tmp_path / "adapter.safetensors")
    with pytest.raises(ValueError, match=r"no adapter of this network: head\.0\.bias"):
        Entailment(embedder.network(), embedder.encode, embedder.marks, tmp_path / "adapter.safetensors")
    (tmp_path / "adapter.safetensors").write_bytes(ADAPTER.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged"):
        Entailment(embedder.network(), embedder.encode, embedder.marks, tmp_path / "adapter.safetensors")
