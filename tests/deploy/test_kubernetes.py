"""deploy/kubernetes: valid by Kubernetes' own schemas, complete, and in keeping with the restricted pod standard."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from server.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
# The oldest that Kubernetes' makers still look after when this was written, and the newest that is known here.
VERSIONS = ("1.34", "1.37")
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: dict[str, dict[str, Any]] = {
    f"{one['kind']}/{one['metadata']['name']}": one
    for name in KUSTOMIZATION["resources"]
    for one in yaml.safe_load_all((FOLDER / name).read_text())
}
LABELS = {"app.kubernetes.io/name": "hrm-serve"}
ONCE: dict[str, Any] = yaml.safe_load((FOLDER / "once" / "pod.yaml").read_text())


@pytest.fixture
def pod() -> dict[str, Any]:
    pod: dict[str, Any] = OBJECTS["StatefulSet/hrm-serve"]["spec"]["template"]["spec"]
    return pod


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    [container] = pod["containers"]
    assert isinstance(container, dict)
    return container


def test_every_file_is_applied() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == {"kustomization.yaml", *KUSTOMIZATION["resources"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_keeps_to_the_schema(name: str, version: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_so_does_the_pod_for_one_command(version: str) -> None:
    kubernetes_validate.validate(ONCE, version, strict=True)


def test_the_pod_for_one_command_is_as_tight_as_the_server_s_and_reaches_its_data(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    [once] = ONCE["spec"]["containers"]
    [claim] = OBJECTS["StatefulSet/hrm-serve"]["spec"]["volumeClaimTemplates"]
    volumes = {volume["name"]: volume for volume in ONCE["spec"]["volumes"]}
    term = ONCE["spec"]["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]

    for name in ("securityContext", "serviceAccountName", "automountServiceAccountToken", "enableServiceLinks"):
        assert ONCE["spec"][name] == pod[name]
    assert once["securityContext"] == container["securityContext"]
    assert once["image"] == container["image"]
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == f"{claim['metadata']['name']}-hrm-serve-0"
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == LABELS
    assert ONCE["metadata"]["labels"] != LABELS, "no client's question is meant for it"


def test_a_misspelt_field_would_not_go_unseen() -> None:
    spoilt = yaml.safe_load(yaml.safe_dump(OBJECTS["StatefulSet/hrm-serve"]).replace("runAsNonRoot", "runAsNonroot"))

    with pytest.raises(kubernetes_validate.ValidationError, match="runAsNonroot"):
        kubernetes_validate.validate(spoilt, VERSIONS[-1], strict=True)


def test_the_pod_is_not_root_has_no_privileges_and_no_token(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_user_is_the_image_s(pod: dict[str, Any]) -> None:
    user, group = pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]

    assert f"\nUSER {user}:{group}\n" in (FOLDER.parents[1] / "Dockerfile").read_text()


def test_kubernetes_gives_the_server_no_settings_that_it_does_not_know(pod: dict[str, Any]) -> None:
    assert pod["enableServiceLinks"] is False, "HRM_SERVE_PORT and its like would stop the start"


def test_probes_ask_for_life_and_readiness(container: dict[str, Any]) -> None:
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["startupProbe"]["httpGet"]["path"] == "/livez"
    # Twenty minutes and more: what is killed in the middle of a migration begins it anew.
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] >= 1200


def test_what_is_mounted_is_defined_and_the_data_outlive_the_pod(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    [claim] = OBJECTS["StatefulSet/hrm-serve"]["spec"]["volumeClaimTemplates"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    secret = {volume["name"]: volume for volume in pod["volumes"]}["first-key"]["secret"]
    [generated] = KUSTOMIZATION["secretGenerator"]

    assert mounted == {"data": "/data", "tmp": "/tmp", "first-key": "/run/secrets"}
    assert claim["metadata"]["name"] == "data"
    assert secret["secretName"] == generated["name"]
    assert generated["files"] == ["hrm_first_key=first_key"]


def test_nothing_leaves_and_only_labelled_namespaces_come_in_each_to_its_own_port() -> None:
    deny = OBJECTS["NetworkPolicy/default-deny"]["spec"]
    policies = {name: found["spec"] for name, found in OBJECTS.items() if found["kind"] == "NetworkPolicy"}

    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert len(policies) == 3
    for who, port in (("clients", "http"), ("watchers", "metrics")):
        let_in = policies[f"NetworkPolicy/{who}-to-hrm-serve"]
        label = "hrm-serve/client" if who == "clients" else "hrm-serve/metrics"
        assert "egress" not in let_in
        [rule] = let_in["ingress"]
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": {label: "true"}}}]
        assert rule["ports"] == [{"protocol": "TCP", "port": port}]


def test_the_server_listens_on_every_port_that_is_named(container: dict[str, Any]) -> None:
    listened = {port["name"]: port["containerPort"] for port in container["ports"]}
    services = [found["spec"] for found in OBJECTS.values() if found["kind"] == "Service"]
    served = {port["targetPort"]: port["port"] for service in services for port in service["ports"]}
    settings = Settings.load({one["name"].removeprefix("HRM_").lower(): one["value"] for one in container["env"]})

    assert listened == served == {"http": settings.port, "metrics": 8001}
    assert settings.metrics_address == ("0.0.0.0", 8001)


def test_who_watches_finds_a_server_that_is_not_ready_and_clients_do_not() -> None:
    assert OBJECTS["Service/hrm-serve-metrics"]["spec"]["publishNotReadyAddresses"] is True
    assert "publishNotReadyAddresses" not in OBJECTS["Service/hrm-serve"]["spec"]


def test_the_volume_is_one_that_every_driver_gives_to_a_group() -> None:
    [claim] = OBJECTS["StatefulSet/hrm-serve"]["spec"]["volumeClaimTemplates"]

    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_service_policy_and_set_mean_the_same_pods() -> None:
    labels = OBJECTS["StatefulSet/hrm-serve"]["spec"]["template"]["metadata"]["labels"]

    assert OBJECTS["StatefulSet/hrm-serve"]["spec"]["selector"]["matchLabels"] == labels
    assert labels == LABELS
    assert OBJECTS["Service/hrm-serve"]["spec"]["selector"] == labels
    assert OBJECTS["Service/hrm-serve-metrics"]["spec"]["selector"] == labels
    for who in ("clients", "watchers"):
        assert OBJECTS[f"NetworkPolicy/{who}-to-hrm-serve"]["spec"]["podSelector"]["matchLabels"] == labels
