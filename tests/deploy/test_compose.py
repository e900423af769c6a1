"""deploy/compose.yaml: valid by the Compose specification's schema, and as tight as the image allows."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = DEPLOY / "compose.yaml"


def check(file: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return services


def test_it_keeps_to_the_specification() -> None:
    assert check(COMPOSE).returncode == 0


def test_a_misspelt_field_would_not_go_unseen(tmp_path: Path) -> None:
    spoilt = tmp_path / "compose.yaml"
    spoilt.write_text(COMPOSE.read_text().replace("read_only: true", "readonly: true"))

    found = check(spoilt)

    assert found.returncode == 1
    assert "readonly" in found.stdout


def test_it_runs_the_server_prometheus_and_grafana(services: dict[str, Any]) -> None:
    assert set(services) == {"hrm", "prometheus", "grafana"}
    assert services["hrm"]["read_only"] is True
    assert services["hrm"]["volumes"] == ["data:/data"], "one volume"


def test_the_server_is_checked_as_the_dockerfile_says_whatever_form_the_image_came_in(services: dict[str, Any]) -> None:
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text()
    said = re.search(
        r"^HEALTHCHECK --interval=(\w+) --timeout=(\w+) --start-period=(\w+) (CMD) (\[.*\])$", dockerfile, re.M
    )
    assert said is not None
    interval, timeout, start_period, kind, command = said.groups()

    assert services["hrm"]["healthcheck"] == {
        "test": [kind, *json.loads(command)],
        "interval": interval,
        "timeout": timeout,
        "start_period": start_period,
    }


def test_no_service_has_capabilities_or_a_port_that_others_reach(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_prometheus_scrapes_the_port_of_the_metrics_which_is_published_nowhere(services: dict[str, Any]) -> None:
    [scraped] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    settings = Settings.load({"metrics_listen": services["hrm"]["environment"]["HRM_METRICS_LISTEN"]})
    assert settings.metrics_address is not None
    port = settings.metrics_address[1]

    assert scraped["static_configs"] == [{"targets": [f"hrm:{port}"]}]
    assert not [one for one in services["hrm"]["ports"] if one.endswith(f":{port}")]


def test_what_it_mounts_from_here_is_here(services: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for service in services.values() for volume in service["volumes"]]

    assert all((DEPLOY / name).is_file() for name in mounted if name.startswith("./"))
