"""Stand-ins that keep the contracts of the real parts: tests/contract runs on both alike."""
