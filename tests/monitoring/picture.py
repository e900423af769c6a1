"""Draw the dashboard from real data: `python -m tests.monitoring.picture PNG`, or `make dashboard-picture`.

Starts the bundled model behind the real server, lets some minutes of mixed traffic at it, has a real Prometheus scrape
it, asks Prometheus for every query of deploy/dashboard.json, and draws the answers. Grafana takes no part in it.
"""

import argparse
import asyncio
import json
import math
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from time import time
from typing import Any

import httpx

from server.settings import BUNDLED_MODEL
from tests.e2e.served import Served, serving
from tests.monitoring.boards import DASHBOARD
from tests.monitoring.drawing import Line, draw
from tests.monitoring.traffic import STORE, Keys, live
from tests.monitoring.watching import asked, prometheus, until

PACE_S = 5
_LABEL = re.compile(r"{{(\w+)}}")  # in a legend


def main(arguments: Sequence[str]) -> int:
    """Draw the picture; 1 if a panel has nothing to show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--minutes", type=float, default=10, help="of traffic (%(default)s)")
    given = parser.parse_args(arguments)
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    secret = token_urlsafe(32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "first_key").write_text(secret)
        flags = ["--first-key-file", str(folder / "first_key"), "--metrics-listen", "127.0.0.1:0"]
        flags += ["--default-store", STORE]
        with serving(folder, BUNDLED_MODEL, flags) as served, prometheus(folder, served, pace=f"{PACE_S}s") as client:
            keys = Keys(admin=secret, eager=_eager_key(served))
            until(client, "hrm_ready == 1")
            began = time()
            asyncio.run(live(served.url, keys, given.minutes * 60))
            lines = {panel["title"]: [*_lines(client, panel, began, time())] for panel in panels}
    draw(panels, lines, given.picture)
    silent = [title for title, found in lines.items() if not found]
    size = given.picture.stat().st_size
    print(f"{given.picture}: {len(panels)} panels, {size:,} bytes; without data: {', '.join(silent) or 'none'}")
    return int(bool(silent))


def _eager_key(served: Served) -> str:
    limits = ("--principal", "user:bert", "--role", "ask", "--requests-per-minute", "30")
    made = served.command("keys", "create", *limits)
    if made.returncode:
        raise SystemExit(made.stderr)
    return made.stdout.strip()


def _lines(client: httpx.Client, panel: Mapping[str, Any], begin: float, end: float) -> list[Line]:
    """The series that a panel shows over a span of time, those that never have a value left out."""
    found = []
    for target in panel["targets"]:
        span = {"start": str(begin), "end": str(end), "step": f"{PACE_S}s"}
        for series in asked(client, "query_range", query=target["expr"], **span)["result"]:
            name = _LABEL.sub(partial(_label, series["metric"]), target["legendFormat"])
            points = [(float(at), float(value)) for at, value in series["values"]]
            points = [(at, value) for at, value in points if not math.isnan(value)]
            found += [Line(name, points)] if points else []
    return found


def _label(labels: Mapping[str, str], found: re.Match[str]) -> str:
    return labels[found[1]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
