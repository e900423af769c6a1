"""A real Prometheus over a real server, with the configuration of deploy/, and what it says when it is asked."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import yaml

from tests.e2e.served import Served
from tests.monitoring.boards import ALERTS, DEPLOY

WAIT_S = 90


@contextmanager
def prometheus(folder: Path, served: Served, *, pace: str = "1s") -> Iterator[httpx.Client]:
    """Prometheus with the configuration of deploy/, but for the address and the pace."""
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["global"]["scrape_interval"] = config["global"]["evaluation_interval"] = pace
    (scraped,) = config["scrape_configs"]
    scraped["static_configs"] = [{"targets": [served.metrics_url.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(ALERTS, folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], cwd=folder, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1", timeout=10) as client:
            yield client
    finally:
        process.kill()
        process.wait()


def asked(client: httpx.Client, path: str, **params: str) -> dict[str, Any]:
    """What an endpoint of Prometheus has to say; an AssertionError if it has an objection."""
    answer = client.get(path, params=params).json()
    assert answer["status"] == "success", answer
    data: dict[str, Any] = answer["data"]
    return data


def until(client: httpx.Client, query: str) -> None:
    """Wait for a query to have an answer."""
    deadline = monotonic() + WAIT_S
    while monotonic() < deadline:
        try:
            # 503 until it has read its own files.
            if (
                client.get("query", params={"query": query}).is_success
                and asked(client, "query", query=query)["result"]
            ):
                return
        except httpx.TransportError:
            pass
        sleep(0.2)
    raise AssertionError(f"Prometheus has no answer to {query}: {client.get('targets').text}")
