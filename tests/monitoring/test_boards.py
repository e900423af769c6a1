"""Dashboard and alerts ask for metrics that the server has, and for all that matter."""

from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.engine import ScriptedEngine
from tests.fakes.serving import HANDBOOK, client_of, question, services, stocked
from tests.monitoring.boards import ALERTS, ALERTS_TEST, alerts, labels_in, metrics_in, panels

pytestmark = pytest.mark.anyio


@pytest.fixture
async def exposed(tmp_path: Path) -> dict[str, set[str]]:
    """The samples of /metrics after an answer, with their labels; counters without any yet by their family."""
    given = services(ScriptedEngine("28 ", "days."), await stocked(tmp_path, HANDBOOK), default_store="handbook")
    async with client_of(given, "sk-admin") as client:
        await client.post("/v1/chat/completions", json=question("leave days"))
        text = (await client.get("/metrics")).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        suffix = "_total" if family.type == "counter" else ""
        found.setdefault(family.name + suffix, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def test_every_metric_of_dashboard_and_alerts_is_one_of_the_servers(exposed: dict[str, set[str]]) -> None:
    asked = alerts()
    asked |= {f"{title} {at}": text for title, texts in panels().items() for at, text in enumerate(texts)}

    missing = {place: metrics_in(text) - exposed.keys() for place, text in asked.items()}

    assert asked
    assert {place: names for place, names in missing.items() if names} == {}
    for text in asked.values():
        for metric, label in labels_in(text):
            assert not exposed[metric] or label in exposed[metric], text


async def test_every_metric_of_the_server_is_on_the_dashboard(exposed: dict[str, set[str]]) -> None:
    shown = {name for texts in panels().values() for text in texts for name in metrics_in(text)}
    families = {name for name in exposed if not name.endswith(("_bucket", "_sum", "_count", "_created"))}

    unseen = {name for name in families if not any(seen.startswith(name) for seen in shown)}

    assert unseen == set()


def test_every_alert_says_what_to_do() -> None:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["annotations"]["description"]
            assert rule["labels"]["severity"] in ("critical", "warning")


def test_promtool_is_shown_when_each_alert_comes_and_when_it_does_not() -> None:
    comes, stays_away = set[str](), set[str]()
    for shown in yaml.safe_load(ALERTS_TEST.read_text())["tests"]:
        for case in shown["alert_rule_test"]:
            (comes if case["exp_alerts"] else stays_away).add(case["alertname"])

    assert comes == stays_away == alerts().keys()
