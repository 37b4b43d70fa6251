"""The application: every protocol on one FastAPI app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

import imeasure_server.measurement  # noqa: F401 - what workers answer is made of it: loaded before the first answer
from imeasure_server import __version__
from imeasure_server.api import docs, health, imeasure, sessions
from imeasure_server.api.access import require_key
from imeasure_server.api.aiaa import admin
from imeasure_server.api.aiaa import router as aiaa
from imeasure_server.api.errors import add_error_handlers
from imeasure_server.api.middleware import RequestRecord
from imeasure_server.api.monailabel import router as monailabel
from imeasure_server.api.page_origins import add_page_origins
from imeasure_server.api.radanalyzer.router import mount_v3
from imeasure_server.api.resources import Images, Store
from imeasure_server.metrics import ServerMetrics
from imeasure_server.models.pool import InferencePool
from imeasure_server.settings import ServerSettings

PROTOCOLS = (imeasure.router, admin.router, aiaa.router, sessions.router, monailabel.router)


def create_app(settings: ServerSettings, pool: InferencePool | None = None) -> FastAPI:
    """The server as an ASGI application.

    Args:
        settings: see there.
        pool: workers that are already starting, which the caller closes; by default the application has its own.
    """
    workers = pool if pool is not None else InferencePool(settings.workers, settings.queue_size)
    store = Store.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        workers.start()
        await asyncio.to_thread(store.open)
        images = await asyncio.to_thread(Images.open, settings, store.database, workers)
        app.state.images = images
        await asyncio.to_thread(workers.wait_until_ready)
        try:
            yield
        finally:
            await asyncio.to_thread(images.close)
            if pool is None:
                await asyncio.to_thread(workers.close)
            await asyncio.to_thread(store.database.close)

    app = FastAPI(
        title="IMeasure server",
        summary="Click a lesion, get a measured mask; send a radiograph, get a heart score. Not a medical device.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.pool = workers
    app.state.store = store
    app.state.metrics = ServerMetrics(workers)
    app.include_router(health.router)
    app.include_router(docs.router)
    app.include_router(monailabel.open_router)
    for protocol in PROTOCOLS:
        app.include_router(protocol, dependencies=[Depends(require_key)])
    mount_v3(app)  # asks for keys itself, and always
    add_error_handlers(app)
    if settings.page_origins:
        add_page_origins(app, settings.page_origins)
    app.add_middleware(RequestRecord, metrics=app.state.metrics)
    return app
