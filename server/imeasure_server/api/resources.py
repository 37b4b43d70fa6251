"""What routes find in the app that they are mounted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from imeasure_server.customers import Customers
from imeasure_server.metrics import ServerMetrics
from imeasure_server.models.pool import InferencePool
from imeasure_server.settings import ServerSettings
from imeasure_server.store.database import Database, database_url
from imeasure_server.store.history import History
from imeasure_server.store.keys import Keys
from imeasure_server.store.pop_sessions import PopSessions
from imeasure_server.store.usage import Usage

if TYPE_CHECKING:
    from imeasure_server.datastore import Datastore
    from imeasure_server.imaging.image_cache import ImageCache
    from imeasure_server.models.answer_cache import AnswerCache
    from imeasure_server.models.registry import ModelRegistry
    from imeasure_server.store.image_sessions import ImageSessions


@dataclass(frozen=True)
class Store:
    """What the server keeps. Everything in it blocks: call it with ``asyncio.to_thread``."""

    database: Database
    customers: Customers
    usage: Usage
    history: History
    sessions: PopSessions

    @classmethod
    def of(cls, settings: ServerSettings) -> Store:
        """The store of these settings; nothing is opened yet."""
        database = Database(database_url(settings))
        return cls(
            database,
            Customers(Keys(database), settings.api_keys),
            Usage(database, settings.charged_rates),
            History(database),
            PopSessions(database, settings.pop_limits),
        )

    def open(self) -> None:
        """Connect, make the tables, enter the keys of the settings.

        Raises:
            StoreUnavailable: the database failed; a sentence.
        """
        self.database.open()
        self.customers.open()


@dataclass(frozen=True)
class Images:
    """What the AIAA and MONAI Label protocols work on. Everything in it blocks but the models' ``put`` and its like."""

    cache: ImageCache
    models: ModelRegistry
    sessions: ImageSessions
    datastore: Datastore
    answers: AnswerCache

    @classmethod
    def open(cls, settings: ServerSettings, database: Database, pool: InferencePool) -> Images:
        """Look at the folders of the workspace, and tidy up what a process left that died."""
        from imeasure_server.datastore import Datastore
        from imeasure_server.imaging.image_cache import ImageCache
        from imeasure_server.models.answer_cache import AnswerCache
        from imeasure_server.models.registry import ModelRegistry
        from imeasure_server.store.image_sessions import ImageSessions

        cache = ImageCache(settings.images_folder, settings.image_cache_bytes)
        models = ModelRegistry(settings.models_folder, pool, settings.auto_reload)
        sessions = ImageSessions(database, settings.sessions_folder, settings.session_expiry_seconds)
        models.open()
        sessions.open()
        return cls(
            cache, models, sessions, Datastore(settings.studies_folder, cache), AnswerCache(settings.answer_cache_bytes)
        )

    def close(self) -> None:
        """Stop looking at the folders."""
        self.models.close()
        self.sessions.close()


def settings_of(request: Request) -> ServerSettings:
    """How the server was set up."""
    settings: ServerSettings = request.app.state.settings
    return settings


def metrics_of(request: Request) -> ServerMetrics:
    """What Prometheus is told."""
    metrics: ServerMetrics = request.app.state.metrics
    return metrics


def pool_of(request: Request) -> InferencePool:
    """Who computes."""
    pool: InferencePool = request.app.state.pool
    return pool


def store_of(request: Request) -> Store:
    """What is kept."""
    store: Store = request.app.state.store
    return store


def _images(request: Request) -> Images:
    images: Images = request.app.state.images
    return images


def images_of(request: Request) -> ImageCache:
    """Decoded images on disk. Blocks."""
    return _images(request).cache


def models_of(request: Request) -> ModelRegistry:
    """The models that can be asked for by name."""
    return _images(request).models


def image_sessions_of(request: Request) -> ImageSessions:
    """Images that clients uploaded once for several requests. Blocks."""
    return _images(request).sessions


def datastore_of(request: Request) -> Datastore:
    """The images that MONAI Label clients are offered. Blocks."""
    return _images(request).datastore


def answers_of(request: Request) -> AnswerCache:
    """What models answered lately."""
    return _images(request).answers
