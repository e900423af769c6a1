"""A real Prometheus reads deploy/, scrapes the real server, and knows something to say to every panel."""

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.served import serving, write_checkpoint
from tests.monitoring.boards import ALERTS, ALERTS_TEST, DEPLOY, alerts, panels
from tests.monitoring.watching import asked, prometheus, until

pytestmark = pytest.mark.prometheus

# Nothing may have been guessed after a question or two.
MAY_BE_SILENT = {"Guessed and found again"}


def promtool(*arguments: str, cwd: Path = DEPLOY) -> str:
    ended = subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_promtool_finds_nothing_wrong_with_the_configuration_and_the_rules() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", "alerts.yml")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_alerts_come_when_they_should_and_not_before(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(ALERTS_TEST, tmp_path)

    assert "SUCCESS" in promtool("test", "rules", ALERTS_TEST.name, cwd=tmp_path)


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
