"""What a sentence model says of each entry of a vocabulary, as a start for the embedding.

Words that mean nearly the same then start near to each other, so that heads which match by likeness find `fee` where
the question says `charge`, before training has met the two together.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hrm_model.tokenizer import Tokenizer

Embed = Callable[[Sequence[str]], NDArray[np.float32]]  # texts to (N, E), each row of length 1

MEANING = 0.5  # share of an embedding's variance that is the sentence model's; the rest tells near words apart


def token_vectors(embed: Embed, tokenizer: Tokenizer, hidden_size: int, seed: int) -> Tensor:
    """(V, D) fp32 of unit variance: main components of the vector of each entry, and a random part.

    Raises:
        ValueError: the vectors have fewer than `hidden_size` dimensions.
    """
    texts = [tokenizer.decode([entry]).strip() for entry in range(tokenizer.vocab_size)]
    found_VE = torch.from_numpy(embed(texts))
    if found_VE.shape[1] < hidden_size:
        raise ValueError(f"the embedder's vectors have {found_VE.shape[1]} dimensions; {hidden_size} are needed")
    said_V1 = torch.tensor([bool(text) for text in texts])[:, None]
    found_VE = torch.where(said_V1, found_VE - found_VE[said_V1[:, 0]].mean(0), 0.0)
    main_ED = torch.linalg.eigh(found_VE.T @ found_VE).eigenvectors[:, -hidden_size:]
    drawn_VD = torch.randn(len(texts), hidden_size, generator=torch.Generator().manual_seed(seed))
    mixed_VD = MEANING**0.5 * _unit(found_VE @ main_ED) + (1 - MEANING) ** 0.5 * _unit(drawn_VD)
    return _unit(mixed_VD) * math.sqrt(hidden_size)


def _unit(x_VD: Tensor) -> Tensor:
    out: Tensor = torch.nn.functional.normalize(x_VD, dim=1)
    return out
