"""What may stand in for the stacks' matrices when a network is served: prepacked or widened 16 bits, int8, int4."""
