"""What the data of a model are, told by their content: names of files mean nothing."""

from __future__ import annotations

import zipfile
from enum import Enum
from pathlib import Path

from imeasure_server.models.config.aiaa import CONFIG_NAME, AiaaConfig
from imeasure_server.models.config.problems import ConfigError

MAX_SAFETENSORS_HEADER = 100 << 20
METADATA = "configs/metadata.json"
INFERENCES = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")


class DataKind(str, Enum):
    """What a file or folder is."""

    TORCHSCRIPT = "torchscript"
    WEIGHTS = "weights"
    BUNDLE = "bundle"
    ARCHIVE = "archive"


def sniff(path: Path) -> DataKind:
    """What a file is.

    Raises:
        ConfigError: nothing that can be loaded.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if head[:2] == b"PK" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _zip_kind(archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError("data", "The file is damaged or not there whole.") from error
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return DataKind.WEIGHTS
    if len(head) == 9 and 0 < int.from_bytes(head[:8], "little") <= MAX_SAFETENSORS_HEADER and head[8:] == b"{":
        return DataKind.WEIGHTS
    raise ConfigError(
        "data",
        "The file is neither TorchScript, nor weights of torch or safetensors, nor a MONAI bundle. TensorFlow graphs "
        "of Clara Train 3 and ONNX files have to be exported to TorchScript first.",
    )


def find_bundle(folder: Path) -> Path | None:
    """The MONAI bundle in a model's folder: the folder itself, or the one folder in it."""
    inside = [item for item in folder.iterdir() if item.is_dir() and not item.name.startswith(".")]
    for candidate in (folder, *inside):
        if (candidate / METADATA).is_file() and any((candidate / name).is_file() for name in INFERENCES):
            return candidate
    return None


def find_data(folder: Path, config: AiaaConfig) -> tuple[DataKind, Path]:
    """The data in a model's folder: a bundle, else the one file that can be loaded, or the one that ``data`` names.

    Raises:
        ConfigError: there is none, or more than one could be meant.
    """
    named = config.raw.get("data")
    if named is not None:
        if not isinstance(named, str) or Path(named).name != named or not (folder / named).is_file():
            raise ConfigError("data", f"There is no file {named!r} in the model's folder.")
        return sniff(folder / named), folder / named
    bundle = find_bundle(folder)
    if bundle is not None and config.loader in (None, "bundle"):
        return DataKind.BUNDLE, bundle
    files = [item for item in sorted(folder.rglob("*")) if item.is_file() and item.name != CONFIG_NAME]
    found: list[tuple[DataKind, Path]] = []
    for path in files:
        if path.suffix.lower() in (".json", ".md", ".txt", ".yaml", ".yml", ".py", ".sh"):
            continue
        try:
            found.append((sniff(path), path))
        except ConfigError:
            if len(files) == 1:
                raise
    wanted = DataKind.WEIGHTS if config.network is not None else DataKind.TORCHSCRIPT
    best = [item for item in found if item[0] is wanted] or [item for item in found if item[0] is not DataKind.ARCHIVE]
    if not best:
        raise ConfigError("data", "There is no model in the folder: no TorchScript file, no weights, no MONAI bundle.")
    if len(best) > 1:
        best = [item for item in best if item[1].stem == "model"] or best  # an MMAR has checkpoints beside its model
    if len(best) > 1:
        names = ", ".join(path.name for _, path in best[:5])
        raise ConfigError("data", f'Several files could be meant ({names}): say which with "data" in the config.')
    return best[0]


def _zip_kind(names: list[str]) -> DataKind:
    inner = {name.partition("/")[2] for name in names}
    if any(name in inner or name in names for name in (METADATA, *INFERENCES)):
        return DataKind.BUNDLE
    if "constants.pkl" in inner:
        return DataKind.TORCHSCRIPT
    if "data.pkl" in inner:
        return DataKind.WEIGHTS
    return DataKind.ARCHIVE
