"""From a click to a measured mask: starts the real server, asks it as the Slicer module does, and keeps what came.

    make demo                                                # the sample CT: a click and two negative clicks
    make demo IMAGE=ct.nii.gz CLICK=-51.2,-138.1,-403.9      # your own image, the click in LPS mm

The client is the library of the Slicer module, `IMeasure/IMeasureLib`, which has to be on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from local_server import running_server
from picture import Step, save_picture

from IMeasureLib.findings import Measurements
from IMeasureLib.geometry import VolumeGeometry, lpsToRAS
from IMeasureLib.http_client import ServerError
from IMeasureLib.imeasure_client import IMeasureClient
from IMeasureLib.prompts import Click, PromptError, PromptHistory
from IMeasureLib.prompts import Step as Prompt

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "Resources" / "SampleData" / "STS_051_ct.nii.gz"
SAMPLE_PROMPTS: list[tuple[str, Prompt]] = [
    ("One click in the mass", Click((-66.4, -93.7, 608.4), positive=True)),
    ("Negative click in the muscle", Click((-75.2, -63.5, 595.3), positive=False)),
    ("Negative click in the fat", Click((-60.0, -84.0, 579.0), positive=False)),
]
"""What a person does on the sample, RAS mm."""


class RecordingClient(IMeasureClient):
    """Keeps the last request and answer as files."""

    folder = Path("demo-output")

    def requestJSON(self, method: str, path: str, **arguments: Any) -> Any:
        for filename, content, _ in arguments["files"].values():
            (self.folder / filename).write_bytes(content)
        answer = super().requestJSON(method, path, **arguments)
        (self.folder / "response.json").write_text(json.dumps(answer, indent=1))
        return answer


def read_volume(path: Path) -> tuple[Any, VolumeGeometry]:
    """(k, j, i) voxels and their geometry, of any 3D format that SimpleITK reads."""
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        raise SystemExit(f"{path.name} is not an image that can be read. NIfTI, NRRD and MetaImage can.") from None
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise SystemExit(f"{path.name} is not a 3D image with one value per voxel.")
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), VolumeGeometry(np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps, image.GetSize())


def write_mask(path: Path, mask: Any, like: Path) -> None:
    """The mask as NIfTI on the grid of the image it was made on."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.CopyInformation(sitk.ReadImage(str(like)))
    sitk.WriteImage(image, str(path), useCompression=True)


def describe(measurements: Measurements, seconds: float) -> str:
    """The numbers of one answer on one line."""
    long, short, diameter, height = measurements.long, measurements.short, measurements.diameter, measurements.height
    lengths = [f"{name} {line.length:6.1f} mm" for name, line in
               (("long", long), ("short", short), ("3D", diameter), ("height", height)) if line]  # fmt: skip
    return f"{'  '.join(lengths)}  volume {measurements.volumeMM3 / 1000:8.2f} mL   ({seconds:.2f} s)"


def parse_click(text: str) -> Prompt:
    """``x,y,z`` in LPS mm."""
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise SystemExit("CLICK must be three numbers, x,y,z, in LPS millimetres.") from None
    right, anterior, superior = lpsToRAS((x, y, z)).tolist()
    return Click((right, anterior, superior), positive=True)


def segment_in_steps(
    image: Path, prompts: list[tuple[str, Prompt]], address: str
) -> tuple[list[Step], Any, VolumeGeometry]:
    """Send the prompts one after the other, each with the history and the previous mask."""
    voxels, geometry = read_volume(image)
    history, mask = PromptHistory(), None
    client = RecordingClient(address)
    steps: list[Step] = []
    for title, prompt in prompts:
        history = history.appended(prompt)
        answer = client.segment(voxels, geometry, history, previousMask=mask)
        if answer.measurements is None:
            raise SystemExit(answer.warning or "The mask is larger than what was sent, and was not measured.")
        mask = answer.mask.full(geometry.shape)
        print(f"{title:34s} {describe(answer.measurements, answer.seconds)}")
        steps.append(Step(title, mask, answer.measurements, history, geometry.sliceOf(prompt.points[0])))
    return steps, voxels, geometry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=SAMPLE)
    parser.add_argument("--click", help="x,y,z in LPS mm; needed for an image of your own")
    parser.add_argument("--server", help="address of a running server; without it one is started")
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()
    if options.click:
        prompts = [("One click", parse_click(options.click))]
    elif options.image.resolve() == SAMPLE:
        prompts = SAMPLE_PROMPTS
    else:
        raise SystemExit("Say where the lesion is: CLICK=x,y,z in LPS millimetres.")
    if not options.image.exists():
        raise SystemExit(f"There is no file {options.image}.")
    options.output.mkdir(parents=True, exist_ok=True)
    RecordingClient.folder = options.output
    try:
        with running_server(options.server, options.output / "server.log") as address:
            steps, voxels, geometry = segment_in_steps(options.image, prompts, address)
    except (ServerError, PromptError) as error:
        raise SystemExit(str(error)) from None
    write_mask(options.output / "mask.nii.gz", steps[-1].mask, options.image)
    save_picture(options.output / "demo.png", voxels, geometry, steps)
    print(f"In {options.output}/: demo.png, mask.nii.gz, metadata.json, image.bin, mask.bin, response.json, server.log")


if __name__ == "__main__":
    main()
