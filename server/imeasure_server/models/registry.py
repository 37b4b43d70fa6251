"""The models that can be asked for by name: those of the server, and one for each folder in the workspace.

Imports neither torch nor MONAI: folders are read here, models are loaded by workers.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imeasure_server.logging_setup import FIELDS
from imeasure_server.models.config.describing import config_of, describe
from imeasure_server.models.config.problems import ConfigError
from imeasure_server.models.description import ModelDescription
from imeasure_server.models.failures import OutOfMemory, WorkerCrashed
from imeasure_server.models.model_folder import ModelFolder, folder_digest, read_folder
from imeasure_server.models.model_jobs import CheckModel
from imeasure_server.models.model_names import RULE, is_model_name
from imeasure_server.models.model_store import ModelStore
from imeasure_server.models.pool import InferencePool
from imeasure_server.models.reference import ModelReference
from imeasure_server.models.registry_errors import ModelProtected, ModelRefused, UnknownModel, WorkspaceUnwritable
from imeasure_server.models.versions import version_digest
from imeasure_server.segmentation.engine import SegmentationError

logger = logging.getLogger(__name__)

EMBEDDED = "embedded"
RELOAD_SECONDS = 1.0
SETTLING = 20
"""How often a folder is read again that changes while it is read."""
CHECK_SECONDS = 600.0
"""The longest that a model may take to load, waiting for a worker included."""


class ModelRegistry:
    """Every model of this server. Reading looks at the folder: what others put there is seen at the next request.

    ``put``, ``patch`` and ``delete`` are atomic: a new version is staged and loaded by a worker before it serves, and
    requests that have a `ModelReference` finish on the version that it names.
    """

    def __init__(self, folder: Path, pool: InferencePool, auto_reload: bool = False) -> None:
        """Args:
        folder: of the models in the workspace; made when it is not there.
        pool: who loads models.
        auto_reload: look at the folder in the background too, so that changes by others are in the log when they come.
        """
        self._store = ModelStore(folder)
        self._pool = pool
        self._auto_reload = auto_reload
        self._embedded: dict[str, ModelDescription] = {}
        self._folders: dict[str, ModelFolder] = {}
        self._problems: dict[str, tuple[str, str]] = {}
        self._scanning = threading.Lock()
        self._locks: dict[str, asyncio.Lock] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Finish what a process left that died, and read every folder. Blocks."""
        from imeasure_server.models import embedded

        self._embedded = {entry.name: entry for entry in embedded.descriptions()}
        self._store.open()
        self.refresh()
        if self._auto_reload:
            self._thread = threading.Thread(target=self._watch, name="imeasure-model-folders", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop looking. Blocks."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(5)

    def list(self) -> list[ModelDescription]:
        """All models: those of the server first, then those of the workspace by name."""
        self.refresh()
        found = dict(sorted(self._folders.items()))
        return [*self._embedded.values(), *(describe(name, folder.config) for name, folder in found.items())]

    def description(self, name: str) -> ModelDescription:
        """Raises:
        UnknownModel: there is no such model.
        """
        if name in self._embedded:
            return self._embedded[name]
        return describe(name, self._folder(name).config)

    def reference(self, name: str) -> ModelReference:
        """The version of a model that serves now.

        Raises:
            UnknownModel: there is no such model.
        """
        if name in self._embedded:
            return ModelReference(name, EMBEDDED)
        try:
            return self._reference(name, self._folder(name), self._store.folder / name)
        except ConfigError as error:
            raise UnknownModel(name, str(error)) from error

    def config(self, name: str) -> dict[str, Any]:
        """AIAA's config of a model.

        Raises:
            UnknownModel: there is no such model.
        """
        if name in self._embedded:
            return config_of(self._embedded[name])
        return dict(self._folder(name).config.raw)

    @property
    def problems(self) -> Mapping[str, str]:
        """Folders that cannot be used, and why."""
        self.refresh()
        return {name: reason for name, (_, reason) in self._problems.items()}

    async def put(self, name: str, config: Mapping[str, Any], data: Path | None) -> None:
        """Add a model, or replace one.

        Args:
            name: of the model.
            config: see ``config_aiaa.json``; a MONAI bundle may leave out what it says itself.
            data: the file that was sent, which is moved; None for models without.

        Raises:
            ModelRefused: the config or the data cannot be used, or do not load; the old version goes on serving.
            ModelProtected: the name belongs to a model of the server.
        WorkspaceUnwritable: the disk is full, or the like; the old version goes on serving.
        """
        self._check_name(name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            await self._replace(name, await self._stage(self._store.stage, name, config, data))

    async def patch(self, name: str, config: Mapping[str, Any]) -> None:
        """Give a model another config; its data stay.

        Raises:
            UnknownModel: there is no such model.
            ModelRefused, ModelProtected: see `put`.
        """
        self._check_name(name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self._problems:
                self._folder(name)
            try:
                staged = await self._stage(self._store.stage_config, name, config)
            except FileNotFoundError as error:
                raise UnknownModel(name) from error
            await self._replace(name, staged)

    async def delete(self, name: str) -> None:
        """Take a model out. Requests under way finish.

        Raises:
            UnknownModel: there is no such model.
            ModelProtected: it is part of the server.
        """
        self._check_name(name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            self.refresh()
            if name not in self._folders and name not in self._problems:
                raise UnknownModel(name)
            await asyncio.to_thread(self._store.remove, name)
            await asyncio.to_thread(self.refresh)
            logger.info("A model was taken out.", extra={FIELDS: {"model": name}})

    def refresh(self) -> None:
        """Read the folders that changed. Cheap when none did."""
        with self._scanning:
            folders: dict[str, ModelFolder] = {}
            problems: dict[str, tuple[str, str]] = {}
            for name in sorted({*self._store.names(), *self._folders}):
                found = self._look_at(name)
                if isinstance(found, ModelFolder):
                    folders[name] = found
                elif found is not None:
                    problems[name] = found
            self._folders, self._problems = folders, problems

    def _look_at(self, name: str) -> ModelFolder | tuple[str, str] | None:
        """The folder of that name, or its digest and what is wrong with it; None when it is gone."""
        known, problem, digest = self._folders.get(name), self._problems.get(name), ""
        path = self._store.folder / name
        try:
            try:
                digest = folder_digest(path)
            except FileNotFoundError:
                if self._store.is_being_replaced(name):
                    return known
                digest = folder_digest(path)  # by now it is replaced
            if known is not None and known.digest == digest:
                return known
            if problem is not None and problem[0] == digest:
                return problem
            self._check_name(name)
            found = self._read_settled(path, digest)
            if found is None:  # it is being replaced right now: the version that is known serves until it is done
                return known
        except FileNotFoundError:
            return None
        except (OSError, ConfigError, ModelRefused, ModelProtected) as error:
            reason = f"It cannot be read ({error.strerror})." if isinstance(error, OSError) else str(error)
            if problem is None or problem[1] != reason:
                logger.warning("The folder of a model cannot be used. %s", reason, extra={FIELDS: {"model": name}})
            return digest, reason
        logger.info("A model was read.", extra={FIELDS: {"model": name}})
        return found

    @staticmethod
    def _read_settled(path: Path, digest: str) -> ModelFolder | None:
        """Read a folder that has that digest; None when it changes meanwhile time and again.

        Raises:
            FileNotFoundError: it is gone.
            OSError, ConfigError: it cannot be used.
        """
        for _ in range(SETTLING):
            try:
                found = read_folder(path)
            except (OSError, ConfigError):
                changed = _digest_now(path)
                if changed and changed == digest:
                    raise
                digest = changed
                continue
            if found.digest == _digest_now(path):
                return found
        return None

    def _watch(self) -> None:
        while not self._closing.wait(RELOAD_SECONDS):
            try:
                self._store.recover()
                self.refresh()
            except OSError as error:
                logger.warning("The folder of models cannot be read (%s).", error.strerror)

    def _folder(self, name: str) -> ModelFolder:
        self.refresh()
        folder = self._folders.get(name)
        if folder is None:
            raise UnknownModel(name, self._problems.get(name, ("", ""))[1])
        return folder

    def _reference(self, name: str, folder: ModelFolder, path: Path) -> ModelReference:
        def part(other: str) -> ModelFolder | None:
            if other in self._embedded:
                return None
            found = self._folders.get(other)
            if found is None:
                raise ConfigError("models", f"The pipeline runs {other!r}, which is not there.")
            return found

        return ModelReference(name, folder.loader, path, version_digest(folder, part))

    def _check_name(self, name: str) -> None:
        if not is_model_name(name):
            raise ModelRefused(f"A model cannot be called {name[:80]!r}. {RULE}")
        if name in self._embedded:
            raise ModelProtected(f"The model {name!r} is part of this server; choose another name.")
        for other in (*self._embedded, *self._store.names()):
            if other != name and other.lower() == name.lower():
                raise ModelProtected(f"There is a model {other!r}; names that differ in case only are not told apart.")

    async def _stage(self, make: Any, *arguments: Any) -> Path:
        try:
            staged: Path = await asyncio.to_thread(make, *arguments)
        except ConfigError as error:
            raise ModelRefused(str(error)) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise WorkspaceUnwritable(error) from error
        return staged

    async def _replace(self, name: str, staged: Path) -> None:
        """Load a staged version in a worker, then let it serve."""
        try:
            await self._check(name, staged)
            await asyncio.to_thread(self._store.put, staged, name)
        except OSError as error:
            raise WorkspaceUnwritable(error) from error
        finally:
            await asyncio.to_thread(self._store.discard, staged)
        await asyncio.to_thread(self._store.recover)
        await asyncio.to_thread(self.refresh)

    async def _check(self, name: str, staged: Path) -> None:
        """Raises:
        ModelRefused: it cannot be used, or does not load.
        """
        try:
            folder = await asyncio.to_thread(read_folder, staged)
            check = CheckModel(self._reference(name, folder, staged))
            await asyncio.wait_for(self._pool.submit(check), CHECK_SECONDS)
        except (ConfigError, SegmentationError) as error:
            raise ModelRefused(str(error)) from error
        except asyncio.TimeoutError as error:
            raise ModelRefused(
                f"The model took longer than {CHECK_SECONDS:.0f} s to load, so it is not taken."
            ) from error
        except WorkerCrashed as error:
            raise ModelRefused("The worker process ended while it loaded this model, so it is not taken.") from error
        except OutOfMemory as error:
            raise ModelRefused(f"{error}: this model does not fit into the memory of this server's device.") from error


def _digest_now(path: Path) -> str:
    """The digest of a folder; "" while it is between two versions, or gone."""
    try:
        return folder_digest(path)
    except OSError:
        return ""
