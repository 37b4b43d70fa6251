"""One model's folder: its config, what its data are, and a digest that changes whenever a file does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from imeasure_server.models import third_party
from imeasure_server.models.config.aiaa import CONFIG_NAME, AiaaConfig, load_config, read_config
from imeasure_server.models.config.bundle import bundle_config
from imeasure_server.models.config.data_files import DataKind, find_bundle, find_data
from imeasure_server.models.config.problems import ConfigError

WITHOUT_DATA = frozenset({"pipeline", "nninteractive", "sam2"})
MAX_FILES = 10_000
REPLACED = ".replaced"


@dataclass(frozen=True)
class ModelFolder:
    """A folder that was read.

    Attributes:
        config: what it says.
        loader: see `ModelReference`.
        digest: of the listing of its files.
        data: what is loaded: a file, or the folder of a bundle; None for models that need none of their own.
    """

    config: AiaaConfig
    loader: str
    digest: str
    data: Path | None


def read_folder(folder: Path) -> ModelFolder:
    """Read a model's folder. A MONAI bundle needs no ``config_aiaa.json``; what that says goes before the bundle.

    Raises:
        ConfigError: it cannot be used; a sentence.
    """
    try:
        digest = folder_digest(folder)
        path = folder / CONFIG_NAME
        raw = load_config(path) if path.is_file() else {}
        bundle = find_bundle(folder)
        if bundle is not None and raw.get("loader") in (None, "bundle"):
            raw = {**bundle_config(bundle), **raw, "loader": "bundle"}
        elif not raw:
            raise ConfigError("", f"The folder has no {CONFIG_NAME}.")
        config = read_config(raw)
        if config.loader is not None and config.loader in third_party.PACKAGES:
            config = _third_party(config, config.loader, folder)
        if config.loader in WITHOUT_DATA:
            return ModelFolder(config, str(config.loader), digest, None)
        kind, data = find_data(folder, config)
    except OSError as error:
        raise ConfigError("", f"The folder cannot be read ({error.strerror}).") from error
    if kind is DataKind.WEIGHTS and config.network is None:
        raise ConfigError(
            "data", "These are weights without a network: name it in inference.AIAA.args.network, or send TorchScript."
        )
    if kind is DataKind.ARCHIVE:
        raise ConfigError("data", "The archive must be unpacked.")
    loader = "network" if kind is DataKind.WEIGHTS else kind.value
    return ModelFolder(config, loader, digest, data)


def _third_party(config: AiaaConfig, loader: str, folder: Path) -> AiaaConfig:
    """The config with what the package and the files of the weights add to it.

    Raises:
        ConfigError: the package is not installed.
    """
    reason = third_party.why_not(loader)
    if reason is not None:
        raise ConfigError("loader", reason)
    return replace(config, licence=config.licence or third_party.licence_of(loader, folder), interactive=True)


def folder_digest(folder: Path) -> str:
    """Of the names, sizes and times of all files: no file is read, so that it can be asked often.

    Raises:
        OSError: the folder is gone, or changes while it is looked at.
        ConfigError: it has far too many files.
    """
    digest = hashlib.sha256()
    for count, line in enumerate(sorted(_listing(str(folder), ""))):
        if count >= MAX_FILES:
            raise ConfigError("", "The folder has too many files for a model.")
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:32]


def locate(folder: Path, name: str, digest: str) -> Path | None:
    """Where a version of a model lies: in its folder, or among the replaced ones when it was replaced since.

    Args:
        folder: of the version when its reference was made.
        name: of the model.
        digest: of the version.
    """
    for candidate in (folder, models_root(folder) / REPLACED / f"{name}@{digest}"):
        try:
            if folder_digest(candidate) == digest:
                return candidate
        except (OSError, ConfigError):
            continue
    return None


def models_root(folder: Path) -> Path:
    """The folder of all models, from that of one: staged ones lie one deeper."""
    return folder.parent.parent if folder.parent.name.startswith(".") else folder.parent


def _listing(folder: str, below: str) -> Iterator[str]:
    with os.scandir(folder) as items:
        for item in items:
            if item.is_dir(follow_symlinks=False):
                yield from _listing(item.path, f"{below}{item.name}/")
            else:
                status = item.stat()
                yield f"{below}{item.name} {status.st_size} {status.st_mtime_ns}"
