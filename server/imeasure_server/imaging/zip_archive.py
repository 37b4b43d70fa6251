"""The members of a zip archive that somebody else made, read in memory and never extracted by name."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imeasure_server.imaging.image_error import ImageError

MAX_MEMBERS = 20_000
"""Files in an archive; a CT of a whole body in thin slices has 2,000."""

MAX_UNPACKED_BYTES = 4 << 30
"""Of all members together, as the archive declares them; no member yields more than it declares."""

ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

_LEFT_OUT = ("__macosx/", ".ds_store", "thumbs.db")
_DAMAGED = "The ZIP archive is damaged or incomplete: make it again."


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: as the archive has it; for messages and for its ending, never for a path.
        size: bytes when unpacked, as declared.
    """

    name: str
    size: int
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo

    def read(self, limit: int | None = None) -> bytes:
        """The content, or its first ``limit`` bytes.

        Raises:
            ImageError: it is damaged, or packed in a way that is not read.
        """
        size = self.size if limit is None else min(limit, self.size)
        try:
            with self._archive.open(self._info) as file:
                content = file.read(size)
                if size == self.size and file.read(1):  # reaching the end checks the sum
                    raise ImageError(_DAMAGED)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error) as error:
            raise ImageError(_DAMAGED) from error
        except (NotImplementedError, RuntimeError) as error:
            raise ImageError(
                "The ZIP archive is packed in a way that is not read here: make it with Deflate."
            ) from error
        if len(content) != size:
            raise ImageError(_DAMAGED)
        return content


@contextmanager
def open_archive(path: Path) -> Iterator[list[Member]]:
    """The files of a zip archive, without those that operating systems add; they can be read inside the block.

    Raises:
        ImageError: no zip archive, damaged, encrypted, or with more or larger files than are taken.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise ImageError(_DAMAGED) from error
    with archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(infos) > MAX_MEMBERS:
            raise ImageError(f"The ZIP archive holds {len(infos)} files; at most {MAX_MEMBERS} are taken.")
        if any(info.flag_bits & 0x1 for info in infos):
            raise ImageError("The ZIP archive is encrypted: make one without a password.")
        unpacked = sum(info.file_size for info in infos)
        if unpacked > MAX_UNPACKED_BYTES:
            raise ImageError(
                f"The ZIP archive holds {unpacked / 2**30:.1f} GiB when it is unpacked; "
                f"at most {MAX_UNPACKED_BYTES >> 30} GiB are taken."
            )
        yield [Member(info.filename, info.file_size, archive, info) for info in infos if _is_wanted(info)]


def _is_wanted(info: zipfile.ZipInfo) -> bool:
    name = info.filename.lower().replace("\\", "/")
    base = name.rsplit("/", 1)[-1]
    return (
        info.file_size > 0
        and not name.startswith(_LEFT_OUT[0])
        and f"/{_LEFT_OUT[0]}" not in name
        and (base not in _LEFT_OUT and not base.startswith("._"))
    )
