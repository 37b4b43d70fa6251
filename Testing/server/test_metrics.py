"""``GET /metrics``."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from contract import ellipsoid_scan, post, scan_metadata
from contract.server import ServerProcess
from prometheus_client.parser import text_string_to_metric_families

StartServer = Callable[..., ServerProcess]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(server: ServerProcess) -> Samples:
    response = httpx.get(f"{server.url}/metrics", trust_env=False)
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_metrics_count_what_happened(start_server: StartServer) -> None:
    server = start_server()
    scan, _ = ellipsoid_scan()
    image = scan.crop_bytes([0, 0, 0], [79, 79, 23])
    metadata = scan_metadata(scan, [{"mode": "positive", "points": [scan.world((40, 40, 12))]}])
    assert [post(server.url, metadata, image).status for _ in range(2)] == [200, 200]
    assert post(server.url, metadata, None).status == 400
    httpx.get(f"{server.url}/secret-of/Doe^John", trust_env=False)
    found = samples(server)

    assert value(found, "imeasure_requests_total", method="POST", route="/seg", status="200") == 2
    assert value(found, "imeasure_requests_total", method="POST", route="/seg", status="400") == 1
    assert value(found, "imeasure_requests_total", method="GET", route="unmatched", status="404") == 1
    assert value(found, "imeasure_request_seconds_count", route="/seg") == 3
    for stage in ("parse", "queue", "transfer", "engine", "measure", "encode"):
        assert value(found, "imeasure_stage_seconds_count", route="/seg", stage=stage) == 2
        assert value(found, "imeasure_stage_seconds_sum", route="/seg", stage=stage) > 0
    whole = value(found, "imeasure_request_seconds_sum", route="/seg")
    assert 0 < value(found, "imeasure_stage_seconds_sum", route="/seg", stage="engine") < whole

    worker = {"worker": "0", "device": "cpu"}
    assert value(found, "imeasure_queue_depth", **worker) == 0
    assert value(found, "imeasure_queue_capacity", **worker) == 16
    assert value(found, "imeasure_worker_busy", **worker) == 0
    assert value(found, "imeasure_worker_resident_bytes", **worker) > 1 << 24
    assert value(found, "imeasure_server_resident_bytes") > 1 << 24
    assert 0 < value(found, "imeasure_model_memory_bytes", **worker) < 1 << 32
    assert not any("Doe" in label for _, labels in found for _, label in labels)
