"""The ``/docs`` page, with its scripts from this machine: hospitals are offline."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

STATIC = Path(__file__).parent / "static"
ASSETS = "/docs/assets"
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src data:"
)

SERVED = ("swagger-ui-bundle.js", "swagger-ui.css")

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The page on which a person can read and try the server's requests."""
    page = get_swagger_ui_html(
        openapi_url=request.app.openapi_url,
        title=f"{request.app.title} · API",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters={"validatorUrl": None},
    )
    page.headers["Content-Security-Policy"] = CONTENT_POLICY
    return page


@router.get(f"{ASSETS}/{{name}}")
async def asset(name: str) -> Response:
    """A script or style of the page."""
    if name not in SERVED:
        raise HTTPException(404)
    return FileResponse(STATIC / name)
