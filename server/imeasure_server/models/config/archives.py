"""Unpacking what was sent: regular files only, inside the folder, and not more than a disk can hold."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from imeasure_server.models.config.problems import ConfigError

MAX_FILES = 5000
MAX_BYTES = 32 << 30
MAX_RATIO = 200
_SYMLINK = 0xA000


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip into a folder; a single folder around everything is left out.

    Raises:
        ConfigError: it is damaged, leads out of the folder, or is too large.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            total = sum(member.file_size for member in members)
            if len(members) > MAX_FILES or total > MAX_BYTES or total > (64 << 20) + MAX_RATIO * archive.stat().st_size:
                raise ConfigError("data", "The archive is too large when it is unpacked.")
            paths = [_path(member) for member in members]
            around = {path.parts[0] for path in paths if len(path.parts) > 1}
            cut = 1 if len(around) == 1 and all(len(path.parts) > 1 for path in paths) else 0
            for member, path in zip(members, paths, strict=True):
                target = folder.joinpath(*path.parts[cut:])
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ConfigError(
            "data", "The archive cannot be unpacked; it is damaged, encrypted, or names a file twice."
        ) from error


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    unsafe = path.is_absolute() or not path.parts or any(part in ("..", "") or ":" in part for part in path.parts)
    if unsafe or (member.external_attr >> 16) & 0xF000 == _SYMLINK:
        raise ConfigError("data", "The archive holds links, or files that would land outside the model's folder.")
    return path
