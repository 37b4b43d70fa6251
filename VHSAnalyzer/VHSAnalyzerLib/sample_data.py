"""The radiograph that comes with the extension, as Slicer sample data. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from .loading import loadPicture

MODULE_FOLDER = Path(__file__).resolve().parent.parent
SAMPLE_NAME = "VHSAnalyzerRadiograph"
SAMPLE_FILE = "canine_thorax_lateral.png"
NODE_NAME = "CanineThorax"


def sampleFile() -> Path:
    """The sample radiograph: in the module's resources when installed, in the repository's when run from a checkout.

    Raises:
        FileNotFoundError: the file is in neither place.
    """
    folders = (MODULE_FOLDER / "Resources" / "SampleData", MODULE_FOLDER.parent / "Resources" / "SampleData")
    for folder in folders:
        if (folder / SAMPLE_FILE).is_file():
            return folder / SAMPLE_FILE
    raise FileNotFoundError(
        f"{SAMPLE_FILE} is not installed with the VHSAnalyzer module. Please reinstall the extension."
    )


def loadSampleRadiograph(source: Any = None) -> Any:
    """Load the sample radiograph; returns the volume node.

    Args:
        source: what SampleData passes to a custom downloader; not needed.
    """
    node = loadPicture(sampleFile())
    node.SetName(slicer.mrmlScene.GenerateUniqueName(NODE_NAME))
    return node


def registerSampleData() -> None:
    """Add the radiograph to Slicer's Sample Data module."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="IMeasure",
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(MODULE_FOLDER / "Resources" / "Icons" / "SampleRadiograph.png"),
        uris=sampleFile().as_uri(),
        fileNames=SAMPLE_FILE,
        nodeNames=NODE_NAME,
        loadFileTypes="VolumeFile",
        customDownloader=loadSampleRadiograph,
    )
