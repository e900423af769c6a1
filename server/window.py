"""What was spent in the last minute. Expenses are kept by the second, and are free again 60 to 61 s later.

So it takes 61 numbers, however much is spent.
"""

from math import floor

MINUTE_S = 60
MEMORY_S = MINUTE_S + 1  # the end of an expense's second may be a second after the expense


class Window:
    """Amounts that were spent in the last minute, by the second."""

    def __init__(self) -> None:
        self._spent: dict[int, int] = {}  # in the order of time
        self.total = 0

    def forget(self, now: float) -> None:
        """Drop what no span of a minute that ends now holds."""
        while self._spent and (second := next(iter(self._spent))) + MEMORY_S <= now:
            self.total -= self._spent.pop(second)

    def spend(self, amount: int, now: float) -> None:
        """Add an expense."""
        second = floor(now)
        self._spent[second] = self._spent.get(second, 0) + amount
        self.total += amount

    def give_back(self, amount: int, second: int) -> None:
        """Take back a part of an expense; nothing where the minute is over."""
        if second in self._spent:
            self._spent[second] -= amount
            self.total -= amount

    def wait_s(self, amount: int, limit: int, now: float) -> float:
        """Seconds until `amount`, at most `limit`, fits into it if nobody else spends; 0 where it does now."""
        excess, wait = self.total + amount - limit, 0.0
        for second, spent in self._spent.items():
            if excess <= 0:
                break
            excess, wait = excess - spent, second + MEMORY_S - now
        return wait

    def reset_s(self, now: float) -> float:
        """Seconds until all of it is forgotten."""
        return next(reversed(self._spent)) + MEMORY_S - now if self._spent else 0.0
