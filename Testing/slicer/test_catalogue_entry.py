"""The entry for Slicer's extension catalogue, against what the published schema and the index's own checks ask for.

Facts from slicer-extension-catalog-entry-schema-v1.0.1 (Slicer/Slicer, Schemas/) and check_description_files.py
(Slicer/ExtensionsIndex): names, types and allowed values. Neither text is copied here.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from urllib.parse import urlsplit

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRY = REPOSITORY / "Resources" / "IMeasure.json"
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#"
)
REQUIRED = {"$schema", "category", "scm_url"}
TEXTS = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_subdirectory"}
OPTIONAL = {"scm_revision", "scm_type", "build_dependencies", "build_subdirectory", "enabled", "tier"}
KNOWN_CATEGORIES = {"Segmentation", "Quantification", "Analysis"}  # those of the index that would fit


def problemsOf(entry):
    """What the schema would complain about."""
    problems = [f"{name} is missing" for name in REQUIRED - set(entry)]
    problems += [f"{name} is unknown" for name in set(entry) - REQUIRED - OPTIONAL]
    problems += [f"{name} is no text" for name in TEXTS & set(entry) if not isinstance(entry[name], str)]
    if entry.get("scm_type", "git") not in ("git", "local"):
        problems.append("scm_type")
    dependencies = entry.get("build_dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(name, str) for name in dependencies):
        problems.append("build_dependencies")
    if not isinstance(entry.get("enabled", True), bool):
        problems.append("enabled")
    tier = entry.get("tier", 5)
    if isinstance(tier, bool) or tier not in (1, 3, 5):
        problems.append("tier")
    return problems


@pytest.fixture(scope="module")
def entry():
    return json.loads(ENTRY.read_text())


def cmakeValue(name):
    text = (REPOSITORY / "CMakeLists.txt").read_text()
    return re.search(rf'set\({name} "([^"]*)"\)', text).group(1)


def test_entry_fits_the_schema(entry):
    assert problemsOf(entry) == []
    assert entry["$schema"] == SCHEMA


@pytest.mark.parametrize(
    "change",
    [{"scmurl": "x"}, {"tier": 2}, {"tier": True}, {"enabled": "yes"}, {"build_dependencies": [1]}, {"category": 1}],
)
def test_the_rules_notice_a_wrong_entry(entry, change):
    assert problemsOf({**entry, **change})


def test_entry_passes_the_checks_of_the_index(entry):
    url = urlsplit(entry["scm_url"])
    assert url.scheme in ("git", "https")
    assert "slicer" in Path(url.path).stem.lower(), "the index wants Slicer in the repository's name"
    assert entry["category"] in KNOWN_CATEGORIES
    assert (REPOSITORY / "LICENSE.txt").is_file()


def test_entry_and_cmake_metadata_agree(entry):
    text = (REPOSITORY / "CMakeLists.txt").read_text()
    assert re.search(r"^project\((\w+)", text, re.MULTILINE).group(1) == ENTRY.stem
    assert cmakeValue("EXTENSION_CATEGORY") == entry["category"]
    assert cmakeValue("EXTENSION_HOMEPAGE") == entry["scm_url"].removesuffix(".git")
    dependencies = cmakeValue("EXTENSION_DEPENDS")
    assert (dependencies.split() if dependencies != "NA" else []) == entry["build_dependencies"]
    assert cmakeValue("EXTENSION_DESCRIPTION").strip()
    assert cmakeValue("EXTENSION_CONTRIBUTORS").strip()


def test_icon_and_screenshots_are_pictures_of_this_repository(entry):
    base = entry["scm_url"].removesuffix(".git").replace("https://github.com/", "https://raw.githubusercontent.com/")
    urls = [cmakeValue("EXTENSION_ICONURL"), *cmakeValue("EXTENSION_SCREENSHOTURLS").split()]
    assert len(urls) >= 2
    for url in urls:
        assert url.startswith(f"{base}/{entry['scm_revision']}/")
        picture = REPOSITORY / url.split(f"/{entry['scm_revision']}/", 1)[1]
        assert picture.read_bytes().startswith(b"\x89PNG"), f"{picture} is no PNG"
    icon = (REPOSITORY / "Resources" / "IMeasure.png").read_bytes()
    assert struct.unpack(">II", icon[16:24]) == (128, 128)
