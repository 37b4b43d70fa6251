"""What Prometheus is told: requests, seconds by stage, queues, memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from imeasure_server import __version__
from imeasure_server.models.memory import resident_bytes
from imeasure_server.models.pool import InferencePool

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ServerMetrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, pool: InferencePool) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "imeasure_requests", "Answers given", ("method", "route", "status"), registry=self._registry
        )
        self._request_seconds = Histogram(
            "imeasure_request_seconds",
            "Seconds from a request's headers to the end of its answer",
            ("route",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._stage_seconds = Histogram(
            "imeasure_stage_seconds",
            "Seconds of a request by stage: parse, queue, transfer, engine, measure, encode",
            ("route", "stage"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._registry.register(_PoolCollector(pool))

    def observe(self, method: str, route: str, status: int, seconds: float, stages: Mapping[str, float]) -> None:
        """Count one answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)
        for stage, spent in stages.items():
            self._stage_seconds.labels(route, stage).observe(spent)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _PoolCollector(Collector):
    """Asks the pool when Prometheus asks."""

    def __init__(self, pool: InferencePool) -> None:
        self._pool = pool

    def collect(self) -> Iterable[Metric]:
        waiting = _gauge("imeasure_queue_depth", "Requests that wait for the worker")
        capacity = _gauge("imeasure_queue_capacity", "Requests that may wait for the worker")
        running = _gauge("imeasure_worker_busy", "1 while the worker computes")
        resident = _gauge("imeasure_worker_resident_bytes", "Resident memory of the worker process")
        model = _gauge("imeasure_model_memory_bytes", "Memory of the worker's models, on their device")
        for index, state in enumerate(self._pool.states()):
            labels = (str(index), state.device)
            waiting.add_metric(labels, state.waiting)
            capacity.add_metric(labels, state.capacity)
            running.add_metric(labels, state.running)
            resident.add_metric(labels, state.resident_bytes)
            model.add_metric(labels, state.model_bytes)
        server = GaugeMetricFamily("imeasure_server_resident_bytes", "Resident memory of the server process")
        server.add_metric((), resident_bytes())
        version = GaugeMetricFamily("imeasure_build_info", "The server's version", labels=("version",))
        version.add_metric((__version__,), 1)
        return waiting, capacity, running, resident, model, server, version


def _gauge(name: str, documentation: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=("worker", "device"))
