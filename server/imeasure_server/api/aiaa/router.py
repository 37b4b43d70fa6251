"""The addresses of AIAA for all clients; those of ``/admin`` are in `admin`, ``/session`` in `api.sessions`."""

from __future__ import annotations

from fastapi import APIRouter

from imeasure_server.api.aiaa import inference, models, polygons

router = APIRouter()
for _part in (models, inference, polygons):
    router.include_router(_part.router)
