"""A clock that tests move."""


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now  # seconds

    def __call__(self) -> float:
        return self.now
