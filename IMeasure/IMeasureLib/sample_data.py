"""The CT that comes with the extension, as Slicer sample data. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

MODULE_FOLDER = Path(__file__).resolve().parent.parent
SAMPLE_NAME = "IMeasureCTMass"
SAMPLE_FILE = "STS_051_ct.nii.gz"
SOFT_TISSUE_WINDOW = 350.0
SOFT_TISSUE_LEVEL = 40.0


def sampleFile() -> Path:
    """The sample CT: in the module's resources when installed, in the repository's when run from a checkout.

    Raises:
        FileNotFoundError: the file is in neither place.
    """
    folders = (MODULE_FOLDER / "Resources" / "SampleData", MODULE_FOLDER.parent / "Resources" / "SampleData")
    for folder in folders:
        if (folder / SAMPLE_FILE).is_file():
            return folder / SAMPLE_FILE
    raise FileNotFoundError(f"{SAMPLE_FILE} is not installed with the IMeasure module. Please reinstall the extension.")


def loadSampleVolume(source: Any = None) -> Any:
    """Load the sample CT and show it with a soft-tissue window; returns the volume node.

    Args:
        source: what SampleData passes to a custom downloader; not needed.
    """
    volume = slicer.util.loadVolume(str(sampleFile()), {"name": "CTMass"})
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(SOFT_TISSUE_WINDOW, SOFT_TISSUE_LEVEL)
    if slicer.app.layoutManager() is not None:
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume


def registerSampleData() -> None:
    """Add the CT to Slicer's Sample Data module: ``SampleData.downloadSample(SAMPLE_NAME)`` and its button there."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="IMeasure",
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(MODULE_FOLDER / "Resources" / "Icons" / "SampleCT.png"),
        uris=sampleFile().as_uri(),
        fileNames=SAMPLE_FILE,
        nodeNames="CTMass",
        loadFileTypes="VolumeFile",
        customDownloader=loadSampleVolume,
    )
