"""Everything under ``/v3``. Keys are asked for wherever the server listens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute

from imeasure_server.api.access import require_customer
from imeasure_server.api.radanalyzer import capture_sessions, predict, screens
from imeasure_server.api.radanalyzer.errors import PREFIX

PARTS = (predict.router, capture_sessions.router, screens.router)


def mount_v3(app: FastAPI) -> None:
    """Add the protocol to an application, and its examples to the application's OpenAPI schema."""
    v3 = APIRouter(prefix=PREFIX, tags=["RadAnalyzer"], dependencies=[Depends(require_customer)])
    for part in PARTS:
        v3.include_router(part)
    app.include_router(v3)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _restore_examples(described())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _restore_examples(document: dict[str, Any]) -> None:
    """FastAPI leaves out of examples what is null there, and the contract says in which answers what is null."""
    for route in (route for part in PARTS for route in part.routes if isinstance(route, APIRoute)):
        for method in route.methods or ():
            described = document["paths"][PREFIX + route.path][method.lower()]["responses"]
            for status, response in route.responses.items():
                for kind, content in response["content"].items():
                    described[str(status)]["content"][kind]["examples"] = content["examples"]
