"""Every address of the MONAI Label protocol but ``GET /``, which the health check answers, and ``/session``."""

from __future__ import annotations

from fastapi import APIRouter

from imeasure_server.api.monailabel import activelearning, datastore, infer, info, login, tasks

router = APIRouter()
for _part in (info, infer, datastore, activelearning, tasks):
    router.include_router(_part.router)

open_router = login.router
"""To be mounted without asking for a key."""
