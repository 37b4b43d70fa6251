"""The folder of all models on disk: versions are staged beside it and put in place by renaming.

``NAME/`` is the version that serves; ``.staged/NAME~HOST~PID~TOKEN/`` one that is being made, with ``~ready`` behind it
once it may serve; ``.replaced/NAME@DIGEST/`` one that served before, for requests that are still under way. A process
that dies at any moment leaves the old version or the new one: one that was ready is put in place by whoever opens the
folder next.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped,unused-ignore]

from imeasure_server.models.config.aiaa import CONFIG_NAME
from imeasure_server.models.config.archives import unpack
from imeasure_server.models.config.data_files import DataKind, sniff
from imeasure_server.models.config.problems import ConfigError
from imeasure_server.models.model_folder import REPLACED, folder_digest
from imeasure_server.models.model_names import is_model_name

STAGED = ".staged"
READY = "~ready"
KEPT_SECONDS = 900.0
"""How long replaced versions are kept: longer than any request takes."""
STALE_SECONDS = 3600.0
_DATA_NAMES = {DataKind.TORCHSCRIPT: "model.ts", DataKind.WEIGHTS: "model.pt"}


class ModelStore:
    """The models of a workspace. Everything blocks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Make the folder, and finish or clean up what a process left that died.

        Raises:
            OSError: the folder cannot be made.
        """
        for part in (self.folder, self.folder / STAGED, self.folder / REPLACED):
            part.mkdir(parents=True, exist_ok=True)
        self.recover()

    def recover(self) -> None:
        """Put ready versions in place whose process died before it could; delete what nobody needs any more."""
        for staged in list((self.folder / STAGED).iterdir()):
            name = staged.name.partition("~")[0]
            if not _is_left_over(staged):
                continue
            if staged.name.endswith(READY) and is_model_name(name) and not (self.folder / name).exists():
                with contextlib.suppress(OSError):
                    staged.rename(self.folder / name)
                    continue
            shutil.rmtree(staged, ignore_errors=True)
        for old in list((self.folder / REPLACED).iterdir()):
            if _age(old) > KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)

    def is_being_replaced(self, name: str) -> bool:
        """Whether a new version is about to be put where that model was a moment ago."""
        return any((self.folder / STAGED).glob(f"{name}~*{READY}"))

    def names(self) -> list[str]:
        """Of all folders that may be models, in order."""
        with os.scandir(self.folder) as items:
            return sorted(item.name for item in items if item.is_dir() and not item.name.startswith("."))

    def stage(self, name: str, config: Mapping[str, Any], data: Path | None) -> Path:
        """A new version in a folder of its own: the config, and the data that were sent.

        Args:
            name: of the model.
            config: see ``config_aiaa.json``.
            data: file that was sent, told by its content; archives are unpacked. It is moved. None for no data.

        Raises:
            ConfigError: the data are nothing that can be loaded.
        """
        staged = self._new_stage(name)
        try:
            if data is not None:
                kind = sniff(data)
                if kind in _DATA_NAMES:
                    shutil.move(data, staged / _data_name(kind, data))
                else:
                    unpack(data, staged)
            return _with_config(staged, config)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise

    def stage_config(self, name: str, config: Mapping[str, Any]) -> Path:
        """A new version with the data of the one that serves.

        Raises:
            FileNotFoundError: there is none.
        """
        staged = self._new_stage(name)
        try:
            shutil.copytree(self.folder / name, staged, copy_function=_link_or_copy, dirs_exist_ok=True)
            return _with_config(staged, config)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise

    def stage_folder(self, name: str, config: Mapping[str, Any], data: Path) -> Path:
        """A new version with copies of the files in a folder, such as a MONAI bundle's."""
        staged = self._new_stage(name)
        try:
            shutil.copytree(data, staged, dirs_exist_ok=True)
            return _with_config(staged, config)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise

    def put(self, staged: Path, name: str) -> None:
        """Let a staged version serve.

        Raises:
            OSError: the file system does not let it; the old version goes on serving.
        """
        ready = staged.rename(staged.with_name(f"{staged.name}{READY}"))
        target = self.folder / name
        while True:
            self._set_aside(name)
            try:
                ready.rename(target)
            except FileNotFoundError:
                if ready.exists():
                    raise
                return  # whoever opened the folder in this moment has put it in place
            except OSError:
                if not target.exists():
                    raise
                continue  # another server was faster: ours comes later, so it wins
            return

    def remove(self, name: str) -> None:
        """Take a model out; requests under way still find it. Of a model that is not there, nothing."""
        self._set_aside(name)

    def discard(self, staged: Path) -> None:
        """Forget a staged version, unless it serves by now."""
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(staged.with_name(f"{staged.name}{READY}"), ignore_errors=True)

    def _set_aside(self, name: str) -> None:
        current = self.folder / name
        try:
            replaced = self.folder / REPLACED / f"{name}@{folder_digest(current)}"
        except FileNotFoundError:
            return
        except ConfigError:
            replaced = self.folder / REPLACED / f"{name}@unreadable"
        shutil.rmtree(replaced, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            current.rename(replaced)
            os.utime(replaced)

    def _new_stage(self, name: str) -> Path:
        (self.folder / STAGED).mkdir(parents=True, exist_ok=True)
        (self.folder / REPLACED).mkdir(parents=True, exist_ok=True)
        host = socket.gethostname().replace("~", "-").replace(os.sep, "-")
        staged = self.folder / STAGED / f"{name}~{host}~{os.getpid()}~{uuid.uuid4().hex[:12]}"
        staged.mkdir()
        return staged


def _with_config(staged: Path, config: Mapping[str, Any]) -> Path:
    """Give a version its config; where none was sent, one that came in the archive is as good."""
    path, in_mmar = staged / CONFIG_NAME, staged / "config" / CONFIG_NAME
    if not config:
        if not path.exists() and in_mmar.is_file():
            in_mmar.rename(path)
        return staged
    path.unlink(missing_ok=True)  # it may be linked to the version that serves
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    return staged


def _data_name(kind: DataKind, data: Path) -> str:
    with data.open("rb") as file:
        is_safetensors = file.read(9)[8:] == b"{"
    return "model.safetensors" if kind is DataKind.WEIGHTS and is_safetensors else _DATA_NAMES[kind]


def _link_or_copy(source: str, target: str) -> str:
    """The same file where the file system can, so that a new config costs no disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _is_left_over(staged: Path) -> bool:
    """Whether the process that made it is gone."""
    parts = staged.name.split("~")
    if len(parts) < 4 or not parts[2].isdecimal():
        return True
    if parts[1] == socket.gethostname().replace("~", "-").replace(os.sep, "-"):
        pid = int(parts[2])
        return pid != os.getpid() and not psutil.pid_exists(pid)
    return _age(staged) > STALE_SECONDS


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
