"""Code of TorchScript archives, looked through before it is loaded.

TorchScript cannot import or call Python, but it has operators that read and write files (``torch.from_file``,
``torch.save``), and it may run code while it is loaded. An archive that names one of those is refused. Operators of
other namespaces than torch's own are refused as well: what they do depends on what else is installed.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from imeasure_server.models.inference import ModelFailed

MAX_CODE_BYTES = 64 << 20
_SPACE = r"(?:\s|\\\n)*"
_FORBIDDEN = re.compile(
    rf"\b(?:torch|ops{_SPACE}\.{_SPACE}\w+){_SPACE}\.{_SPACE}"
    r"(?P<name>save|load|from_file|manual_seed|seed|set_num_threads|_test\w*)\b"
)
_NAMESPACE = re.compile(rf"\bops{_SPACE}\.{_SPACE}(?P<name>\w+)")
_NAMESPACES = frozenset({"prim", "aten", "quantized", "_quantized", "torchvision", "mkldnn", "mkldnn_prepacked"})
_CLASSES = re.compile(rf"\b__torch__{_SPACE}\.{_SPACE}torch{_SPACE}\.{_SPACE}classes{_SPACE}\.{_SPACE}(?P<name>\w+)")


def check_code(path: Path) -> None:
    """Raises:
    ModelFailed: the archive names an operator that a model has no use for, or cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.filename.lower() for member in archive.infolist()]
            if len(set(names)) != len(names):  # torch and Python would not read the same one
                raise ModelFailed("The TorchScript file has a file twice; it is not loaded.")
            members = [member for member in archive.infolist() if member.filename.lower().endswith(".py")]
            if sum(member.file_size for member in members) > MAX_CODE_BYTES:
                raise ModelFailed("The code of this TorchScript file is too long.")
            for member in members:
                _check(archive.read(member).decode("utf-8", "replace"))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise ModelFailed("The TorchScript file is damaged.") from error


def _check(code: str) -> None:
    match = _FORBIDDEN.search(code)
    if match is not None:
        raise ModelFailed(
            f"The TorchScript code uses torch.{match.group('name')}, which reads or writes files or changes the "
            "server; it is not loaded."
        )
    for pattern, known in ((_NAMESPACE, _NAMESPACES), (_CLASSES, frozenset({"quantized"}))):
        for found in pattern.finditer(code):
            if found.group("name") not in known:
                raise ModelFailed(f"The TorchScript code uses operators of {found.group('name')!r}; it is not loaded.")
