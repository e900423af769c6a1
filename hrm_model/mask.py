"""Who may read whom: the PrefixLM mask. The dimension key stands in hrm_model/config.py."""

import torch
from torch import Tensor


def prefix_lm_mask(query_position_BQ: Tensor, prefix_len_B: Tensor, key_len: int) -> Tensor:
    """Let a prompt read all of itself, and an answer read only what came before.

    Args:
        query_position_BQ: (B, Q) integer, the position of each query in its own sequence.
        prefix_len_B: (B,) integer, tokens in each sequence's prompt; 0 gives a causal mask.
        key_len: keys per row; key j stands at position j.

    Returns:
        (B, 1, Q, key_len) bool, True where a query may read a key. Dim 1 broadcasts over N heads.
        Keys past a sequence's end are masked by causality, as long as no prompt is longer than its sequence.

    Source:
        sapientinc/HRM-Text@da566c9, models/flash_attention_prefixlm_v2.py (its two passes as one mask);
        pinned by tests/parity.
    """
    key_position = torch.arange(key_len, device=query_position_BQ.device)
    causal = key_position <= query_position_BQ[:, :, None]
    prefix = prefix_len_B[:, None, None]
    both_in_prompt = (query_position_BQ[:, :, None] < prefix) & (key_position < prefix)
    return (causal | both_in_prompt)[:, None]
