"""Stand-ins for the engine and the store; tests/contract runs on them and on the real parts alike."""
