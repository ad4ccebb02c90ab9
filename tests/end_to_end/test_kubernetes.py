"""The manifest of docs/kubernetes.md against Kubernetes' own schemas and against what the server knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.app import create_app
from service.settings import Settings

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "examples" / "kubernetes" / "foldserve.yaml"


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(MANIFEST.read_text()))


@pytest.fixture(scope="module")
def pod(documents: list[dict[str, Any]]) -> dict[str, Any]:
    [deployment] = [document for document in documents if document["kind"] == "Deployment"]
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    [only] = pod["containers"]
    return dict(only)


@pytest.mark.parametrize("version", ["1.28", "1.31", "1.35"])
def test_every_document_follows_the_schema_of_kubernetes(
    documents: list[dict[str, Any]], version: str
) -> None:
    kinds = set()
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
        kinds.add(document["kind"])
    assert {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"} <= kinds


def test_the_schema_check_sees_a_fault(documents: list[dict[str, Any]]) -> None:
    wrong = documents[0] | {"spec": documents[0]["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.31", strict=True)


def test_every_variable_is_a_setting(container: dict[str, Any]) -> None:
    values = {item["name"].removeprefix("FOLDSERVE_").lower(): item["value"] for item in container["env"]}
    settings = Settings.model_validate(values)
    assert settings.drain_delay == 5


def test_every_probe_asks_what_the_server_answers(container: dict[str, Any], tmp_path: Path) -> None:
    paths = create_app(Settings(models_dir=tmp_path)).openapi()["paths"]
    probes = [container[kind]["httpGet"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert all("get" in paths[probe["path"]] for probe in probes)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {probe["port"] for probe in probes} <= set(ports)
    env = {item["name"]: item["value"] for item in container["env"]}
    assert env["FOLDSERVE_METRICS_PORT"] == str(ports["metrics"])


def test_a_pod_has_time_to_finish(pod: dict[str, Any], container: dict[str, Any]) -> None:
    env = {item["name"]: item["value"] for item in container["env"]}
    needed = float(env["FOLDSERVE_DRAIN_DELAY"]) + float(env["FOLDSERVE_SHUTDOWN_TIMEOUT"])
    assert pod["terminationGracePeriodSeconds"] > needed


def test_every_selector_and_volume_leads_somewhere(
    documents: list[dict[str, Any]], pod: dict[str, Any], container: dict[str, Any]
) -> None:
    labels = documents[0]["spec"]["template"]["metadata"]["labels"].items()
    by_kind = {document["kind"]: document["spec"] for document in documents}
    assert by_kind["Service"]["selector"].items() <= labels
    assert by_kind["PodDisruptionBudget"]["selector"]["matchLabels"].items() <= labels
    assert by_kind["NetworkPolicy"]["podSelector"]["matchLabels"].items() <= labels
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
