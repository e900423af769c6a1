"""hrm_model.training.average: a checkpoint between two others, which the loader takes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrm_model.errors import CheckpointError
from hrm_model.training.average import average
from hrm_model.weights import load_model, save_checkpoint
from tests.engines import CONFIG, Tiny, make_checkpoint


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_model(folder, dtype=torch.float32, device="cpu").state_dict()


@pytest.fixture
def pair(tmp_path: Path, tiny: Tiny) -> tuple[Path, Path]:
    """Two checkpoints of one tokenizer; the second's weights are the first's doubled."""
    one, other = make_checkpoint(tmp_path / "one"), make_checkpoint(tmp_path / "other")
    save_checkpoint(other, CONFIG, {name: 2 * tensor for name, tensor in tiny.model.state_dict().items()}, {})
    return one, other


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_lie_between_those_of_both(tmp_path: Path, pair: tuple[Path, Path], share: float) -> None:
    one, other = pair

    average(one, other, tmp_path / "out", share)

    mine, between = weights_of(one), weights_of(tmp_path / "out")
    for name, tensor in mine.items():
        torch.testing.assert_close(between[name], tensor * (1 + share))
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (one / "tokenizer.json").read_bytes()


def test_another_tokenizer_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    one, other = pair
    (other / "tokenizer.json").write_text("{}")

    with pytest.raises(CheckpointError, match="tokenizer"):
        average(one, other, tmp_path / "out", 0.5)
    assert not (tmp_path / "out").exists()


def test_another_network_is_refused_even_if_its_tensors_have_the_same_shapes(
    tmp_path: Path, pair: tuple[Path, Path], tiny: Tiny
) -> None:
    one, other = pair
    turned = replace(CONFIG, H_cycles=CONFIG.L_cycles, L_cycles=CONFIG.H_cycles)
    save_checkpoint(other, turned, tiny.model.state_dict(), {})

    with pytest.raises(CheckpointError, match=r"another network than .*one \(H_cycles, L_cycles\)"):
        average(one, other, tmp_path / "out", 0.5)


@pytest.mark.parametrize("place", [0, 1], ids=["the first", "the second"])
def test_neither_checkpoint_is_written_over(tmp_path: Path, pair: tuple[Path, Path], place: int) -> None:
    before = {file: file.read_bytes() for folder in pair for file in folder.iterdir()}
    (tmp_path / "link").symlink_to(pair[place])

    for out in (pair[place], pair[place] / ".." / pair[place].name, tmp_path / "link"):
        with pytest.raises(CheckpointError, match="one of the two checkpoints; choose another folder"):
            average(*pair, out, 0.5)

    assert {file: file.read_bytes() for folder in pair for file in folder.iterdir()} == before
