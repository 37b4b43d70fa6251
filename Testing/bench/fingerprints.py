"""Hashes of what a figure depends on, so that it is measured again when that has changed, and only then."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVER = REPOSITORY / "server"


def file_hash(paths: Iterable[Path]) -> str:
    """SHA-256 of the bytes of files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def source_hash(paths: Iterable[Path]) -> str:
    """SHA-256 of what Python files do, in any order: comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name}\n{_code(path)}\n".encode())
    return digest.hexdigest()


def imported_sources(module: str, package: str, root: Path = SERVER) -> list[Path]:
    """The files of a module and of all that it imports, directly or not, below a package.

    Args:
        module: dotted name.
        package: dotted name; imports from elsewhere are not followed.
        root: folder that holds the package.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name, root)
        if path is None or name in found:
            continue
        found[name] = path
        waiting += [other for other in _imports(path) if other.startswith(f"{package}.")]
    return sorted(found.values())


def _code(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _imports(path: Path) -> list[str]:
    """Dotted names of what a file may import; some are not modules."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _file_of(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)
