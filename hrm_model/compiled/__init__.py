"""A step of a small network as one call of compiled code, where that was built; see step.py."""
