"""What may stand in for the stacks' matrices when a network is served: prepacked bf16, int8, int4."""
