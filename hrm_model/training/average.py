"""Average the weights of two checkpoints of one shape: python -m hrm_model.training.average ONE OTHER OUT --share 0.5.

Where the second was trained on from the first, a point between them often reads texts of neither's training better than
both (Wortsman et al., 2022, "Robust fine-tuning of zero-shot models").
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from hrm_model.config import CONFIG_FILE, read_config
from hrm_model.errors import CheckpointError
from hrm_model.tokenizer import TOKENIZER_FILE
from hrm_model.training.vocabulary import TOKENIZER_CONFIG_FILE
from hrm_model.weights import load_model, save_checkpoint

_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def average(one: Path, other: Path, out: Path, share: float) -> None:
    """Write a checkpoint whose weights are `share` of the other's and the rest of the first's.

    Config and tokenizer are the first's; the tokenizers have to be the same.

    Raises:
        CheckpointError: one of the folders is no checkpoint, or the second is another network or spells in another
            way; or one of them would be written over.
    """
    if out.resolve() in (one.resolve(), other.resolve()):
        raise CheckpointError(out, "is one of the two checkpoints; choose another folder")
    config = read_config(one)
    if differing := config.differing(read_config(other)):
        raise CheckpointError(other, f"it is another network than {one} ({', '.join(differing)})")
    if (one / TOKENIZER_FILE).read_bytes() != (other / TOKENIZER_FILE).read_bytes():
        raise CheckpointError(other, f"its tokenizer is not that of {one}")
    mine, theirs = (load_model(folder, dtype=torch.float32, device="cpu").state_dict() for folder in (one, other))
    out.mkdir(parents=True, exist_ok=True)
    ids = {name: value for name, value in json.loads((one / CONFIG_FILE).read_text()).items() if name in _IDS}
    save_checkpoint(out, config, {name: torch.lerp(mine[name], theirs[name], share) for name in mine}, ids)
    for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE):
        shutil.copy(one / name, out / name)


def main() -> None:
    """Read the arguments and write the checkpoint."""
    parser = argparse.ArgumentParser(
        prog="python -m hrm_model.training.average",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("one", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second, from 0 to 1")
    arguments = parser.parse_args()
    if not 0 <= arguments.share <= 1:
        parser.error(f"--share is {arguments.share}; expected 0 to 1")
    try:
        average(arguments.one, arguments.other, arguments.out, arguments.share)
    except (CheckpointError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
