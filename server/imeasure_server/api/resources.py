"""What routes find in the app that they are mounted on."""

from __future__ import annotations

from starlette.requests import Request

from imeasure_server.metrics import ServerMetrics
from imeasure_server.settings import ServerSettings


def settings_of(request: Request) -> ServerSettings:
    """How the server was set up."""
    settings: ServerSettings = request.app.state.settings
    return settings


def metrics_of(request: Request) -> ServerMetrics:
    """What Prometheus is told."""
    metrics: ServerMetrics = request.app.state.metrics
    return metrics
