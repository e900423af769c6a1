"""What `hrm-serve doctor` says of one thing that it looked at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from server.settings import Settings

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. An error keeps the server from doing its work, a warning will or may."""

    about: str
    level: Level
    said: str
    todo: str = ""


Check = Callable[[Settings], Iterator[Finding]]
