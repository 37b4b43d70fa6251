"""The CMake lists name what is in the tree, all of it: a forgotten file is missing in the package only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE_FOLDERS = sorted(
    path.parent
    for path in REPOSITORY.glob("*/**/CMakeLists.txt")
    if not any(part == "build" or part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
    and "slicerMacroBuildScriptedModule" in path.read_text()
)
SERVER_FILES_NOT_IN_PACKAGE = {"lock.sh"}


def cmakeList(text: str, name: str) -> list[str]:
    """Items of ``set(NAME item...)``, with ``${MODULE_NAME}`` filled in."""
    found = re.search(rf"set\(\s*{name}\b([^)]*)\)", text)
    assert found, f"There is no set({name} ...)."
    module = re.search(r"set\(\s*MODULE_NAME\s+(\w+)\s*\)", text)
    items = [line.split("#")[0].strip() for line in found.group(1).splitlines()]
    return [item.replace("${MODULE_NAME}", module.group(1) if module else "") for item in items if item]


def filesBelow(folder: Path, others: list[Path]) -> set[Path]:
    """Files of a module: those below its folder that belong to no module inside it."""
    return {
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part == "__pycache__" or part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
        and not any(other in path.parents for other in others if other != folder and folder in other.parents)
    }


@pytest.mark.parametrize("folder", MODULE_FOLDERS, ids=lambda folder: folder.name)
def test_module_lists_are_the_tree(folder):
    text = (folder / "CMakeLists.txt").read_text()
    files = filesBelow(folder, MODULE_FOLDERS)
    scripts = {path for path in files if path.suffix == ".py" and "Testing" not in path.relative_to(folder).parts}
    data = {
        path
        for path in files - scripts
        if path.name not in ("CMakeLists.txt", "ruff.toml") and "Testing" not in path.relative_to(folder).parts
    }
    for name, present in (("MODULE_PYTHON_SCRIPTS", scripts), ("MODULE_PYTHON_RESOURCES", data)):
        listed = cmakeList(text, name)
        assert len(set(listed)) == len(listed), f"{name} names a file twice"
        assert set(listed) == {path.relative_to(folder).as_posix() for path in present}


def test_all_modules_are_built():
    for folder in MODULE_FOLDERS:
        parent = folder.parent
        assert f"add_subdirectory({folder.name})" in (parent / "CMakeLists.txt").read_text()


def test_package_carries_the_server_and_the_sample():
    text = (REPOSITORY / "IMeasure" / "CMakeLists.txt").read_text()
    listed = re.findall(r"^\s+((?:server|Resources/SampleData)/\S+)\s*$", text, re.MULTILINE)
    for item in listed:
        assert (REPOSITORY / item).is_file(), f"{item} is not there"
    # The package's own files come from a glob; beside them everything that `server/install.py` needs is named.
    assert "server/imeasure_server/*)" in text
    beside = {path.name for path in (REPOSITORY / "server").iterdir() if path.is_file()}
    assert {Path(item).name for item in listed if item.startswith("server/")} == beside - SERVER_FILES_NOT_IN_PACKAGE
    assert any(item.endswith("_ct.nii.gz") for item in listed)
    assert any("LICENSE" in item for item in listed)
