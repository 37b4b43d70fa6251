"""``GET /``: is the server there; ``GET /metrics``: how is it doing."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from imeasure_server.api.access import require_key
from imeasure_server.api.resources import metrics_of

router = APIRouter(tags=["Server"])


class Health(BaseModel):
    """The server is up."""

    status: str = "UP"


@router.get("/")
async def health() -> Health:
    """Whether the server is up. Never needs a key."""
    return Health()


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    dependencies=[Depends(require_key)],
)
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    return Response(metrics_of(request).exposition(), media_type=CONTENT_TYPE_LATEST)
