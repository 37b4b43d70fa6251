"""Web pages of other addresses, such as an OHIF viewer, that whoever runs the server lets in."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from imeasure_server.api.monailabel.devices import HEADER

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
HEADERS = ("authorization", "content-type", "x-api-key")
EXPOSED = ("content-disposition", "retry-after", "server-timing", HEADER)


def add_page_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let scripts of pages from these origins read answers (CORS). Cookies play no part: a page sends a key if it must.

    Args:
        origins: ``http://host:port``, or ``*`` for any page.
    """
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"] if "*" in origins else [origin.rstrip("/") for origin in origins],
        allow_methods=METHODS,
        allow_headers=HEADERS,
        expose_headers=EXPOSED,
        max_age=600,
    )
