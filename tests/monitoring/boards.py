"""What the dashboard and the alert rules ask Prometheus."""

import json
import re
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "alerts.yml"
ALERTS_TEST = Path(__file__).parent / "alerts_test.yml"
DASHBOARD = DEPLOY / "dashboard.json"
_METRIC = re.compile(r"\b(?:hrm_|vllm:)\w+")


def panels() -> dict[str, list[str]]:
    """The expressions of each panel, by its title."""
    found = json.loads(DASHBOARD.read_text())["panels"]
    return {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in found}


def alerts() -> dict[str, str]:
    """The expression of each alert, by its name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def metrics_in(expression: str) -> set[str]:
    """The names of this server's metrics in an expression."""
    return set(_METRIC.findall(expression))


def labels_in(expression: str) -> set[tuple[str, str]]:
    """Which metric is asked for which label of its own, in braces."""
    asked = re.findall(r"(\b(?:hrm_|vllm:)\w+)\{([^}]*)\}", expression)
    return {(metric, label) for metric, said in asked for label in re.findall(r"(\w+)(?:=|!=|=~|!~)\"", said)} - {
        (metric, "job")
        for metric, _ in asked  # Prometheus' own
    }
