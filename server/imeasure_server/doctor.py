"""Looks at everything that a server needs and says what is wrong in sentences."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from imeasure_server import __version__
from imeasure_server.models.device import DeviceUnavailable, resolve_device
from imeasure_server.models.memory import available_bytes, total_bytes
from imeasure_server.models.weights_listing import WEIGHTS, list_weights
from imeasure_server.settings import ServerSettings

LEAST_FREE_BYTES = 1 << 30
PACKAGES = (
    "torch",
    "monai",
    "numpy",
    "scipy",
    "SimpleITK",
    "fastapi",
    "uvicorn",
    "pydantic",
    "PyMaxflow",
    "SQLAlchemy",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what.
        is_well: False when the server would not work well.
        sentence: what was found, and when it is not well, what to do.
    """

    subject: str
    is_well: bool
    sentence: str


def examine(settings: ServerSettings) -> Iterator[Finding]:
    """Look at one thing after another."""
    checks: tuple[Callable[[ServerSettings], Finding], ...] = (
        check_versions,
        check_settings,
        check_device,
        check_engine,
        check_memory,
        lambda _: check_weights(settings.weights),
        check_workspace,
        check_database,
        check_port,
    )
    for check in checks:
        yield check(settings)


def check_versions(settings: ServerSettings) -> Finding:
    """Whether everything that the server is made of is installed."""
    found, missing = [f"imeasure-server {__version__}", f"Python {platform.python_version()}"], []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return Finding("versions", False, f"Not installed: {', '.join(missing)}. Install the server again.")
    return Finding("versions", True, ", ".join(found))


def check_settings(settings: ServerSettings) -> Finding:
    """Whether the settings fit together."""
    if settings.problem is not None:
        return Finding("settings", False, settings.problem)
    keys = "asks for a key" if settings.asks_for_key else "open, no key needed except by /v3"
    return Finding("settings", True, f"{settings.host}, port {settings.port}, {keys}")


def check_device(settings: ServerSettings) -> Finding:
    """Whether this machine has the device."""
    try:
        return Finding("device", True, ", ".join(resolve_device(name) for name in settings.devices))
    except DeviceUnavailable as error:
        return Finding("device", False, str(error))


def check_engine(settings: ServerSettings) -> Finding:
    """Whether the engine loads."""
    from imeasure_server.segmentation.engines import DEFAULT_ENGINE, create_engine

    wanted = settings.engine or DEFAULT_ENGINE
    try:
        engine = create_engine(wanted, "cpu")
    except ValueError as error:
        return Finding("engine", False, str(error))
    if engine.name != wanted:
        return Finding("engine", False, f"{wanted} does not load and {engine.name} answers instead; see weights")
    return Finding("engine", True, f"{engine.name} loads")


def check_memory(settings: ServerSettings) -> Finding:
    """Whether there is room to work."""
    free, total = available_bytes(), total_bytes()
    sentence = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    if free < LEAST_FREE_BYTES:
        return Finding("memory", False, f"Only {sentence}; the server needs about 1 GiB. Close other programs.")
    return Finding("memory", True, sentence)


def check_weights(folder: Path = WEIGHTS) -> Finding:
    """Whether the weights are there and unchanged."""
    try:
        files = list_weights(folder)
    except ValueError as error:
        return Finding("weights", False, f"{error} Install the server again.")
    broken = [file for file in files if not file.is_intact]
    if broken:
        states = ", ".join(
            f"{file.name} is {'missing' if file.found is None else 'not what it was'}" for file in broken
        )
        return Finding("weights", False, f"{states}. Install the server again.")
    listed = ", ".join(f"{file.name} (SHA-256 {file.expected})" for file in files)
    return Finding("weights", True, listed or "none installed; the engines of this version need none")


def check_workspace(settings: ServerSettings) -> Finding:
    """Whether the folder for what the server keeps can be written to."""
    try:
        settings.workspace.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.workspace) as file:
            file.write(b"0")
    except OSError as error:
        reason = f"{settings.workspace} cannot be written to ({error.strerror}). Choose another with --workspace."
        return Finding("workspace", False, reason)
    return Finding("workspace", True, f"{settings.workspace} can be written to")


def check_database(settings: ServerSettings) -> Finding:
    """Whether the database answers, is whole, and is of this version or an older one; changes nothing."""
    from imeasure_server.store.database import StoreUnavailable
    from imeasure_server.store.inspection import describe_database

    try:
        return Finding("database", True, describe_database(settings))
    except StoreUnavailable as error:
        return Finding("database", False, str(error))


def check_port(settings: ServerSettings) -> Finding:
    """Whether the server can listen on its port."""
    from imeasure_server.listening import AddressUnavailable, listen

    try:
        listen(settings.host, settings.port).close()
    except AddressUnavailable as error:
        return Finding("port", False, str(error))
    return Finding("port", True, f"{settings.port} on {settings.host} is free")
