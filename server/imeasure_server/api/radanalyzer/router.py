"""Everything under ``/v3``. Keys are asked for wherever the server listens."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from imeasure_server.api.access import require_customer
from imeasure_server.api.radanalyzer import capture_sessions, predict, screens
from imeasure_server.api.radanalyzer.errors import PREFIX

v3 = APIRouter(prefix=PREFIX, tags=["RadAnalyzer"], dependencies=[Depends(require_customer)])
for part in (predict.router, capture_sessions.router, screens.router):
    v3.include_router(part)
