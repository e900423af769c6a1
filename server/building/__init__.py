"""The parts of the composition root, server/build.py, which alone puts them together."""
