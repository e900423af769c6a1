"""A real Prometheus reads deploy/, scrapes the real server, and knows something to say to every panel."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.served import Served, serving, write_checkpoint
from tests.monitoring.boards import ALERTS, DEPLOY, alerts, panels

pytestmark = pytest.mark.prometheus

WAIT_S = 90
# Nothing has been refused, looked up in vain or guessed after a question or two.
MAY_BE_SILENT = {"Refused by reason", "Guessed and found again"}


def promtool(*arguments: str, cwd: Path = DEPLOY) -> str:
    ended = subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_promtool_finds_nothing_wrong_with_the_configuration_and_the_rules() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", "alerts.yml")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_alerts_come_when_they_should_and_not_before(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).parent / "alerts_test.yml", tmp_path)

    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml", cwd=tmp_path)


@contextmanager
def prometheus(folder: Path, served: Served) -> Iterator[httpx.Client]:
    """Prometheus with the configuration of deploy/, but for the address and the pace."""
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["global"]["scrape_interval"] = config["global"]["evaluation_interval"] = "1s"
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


def test_prometheus_scrapes_the_server_and_has_an_answer_to_each_panel(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "hrm-tiny")
    flags = ["--default-store", "notes", "--metrics-listen", "127.0.0.1:0"]
    with serving(tmp_path, checkpoint, flags) as served, prometheus(tmp_path, served) as client:
        until(client, "hrm_ready == 1")
        (tmp_path / "claims.txt").write_text("Marta Velin leads the claims desk.\n")
        store = httpx.post(f"{served.url}/v1/vector_stores", json={"name": "notes"}).json()["id"]
        file = httpx.post(
            f"{served.url}/v1/files",
            files={"file": ("claims.txt", b"Marta Velin leads the claims desk.")},
            data={"purpose": "assistants"},
        ).json()["id"]
        httpx.post(f"{served.url}/v1/vector_stores/{store}/files", json={"file_id": file})
        until(client, 'hrm_documents{status="completed"} == 1')
        body = {"model": "hrm-tiny", "messages": [{"role": "user", "content": "Who leads the claims desk?"}]}
        # A counter that has just appeared has not grown yet.
        for query in ("vllm:generation_tokens_total > 0", "rate(vllm:generation_tokens_total[5m]) > 0"):
            httpx.post(f"{served.url}/v1/chat/completions", json={**body, "max_tokens": 20}, timeout=60)
            until(client, query)

        silent = {
            title: [text for text in texts if not asked(client, "query", query=text)["result"]]
            for title, texts in panels().items()
        }
        (group,) = asked(client, "rules")["groups"]
        (target,) = asked(client, "targets")["activeTargets"]

    assert {title: texts for title, texts in silent.items() if texts and title not in MAY_BE_SILENT} == {}
    assert (target["health"], target["lastError"]) == ("up", "")
    assert {rule["name"]: rule["health"] for rule in group["rules"]} == dict.fromkeys(alerts(), "ok")
    assert [rule["name"] for rule in group["rules"] if rule["state"] == "firing"] == []
