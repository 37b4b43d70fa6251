"""Asks ``/infer/{model}`` as a client does, and reads what it answers with libraries that the server does not use."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import httpx
import nibabel
import numpy as np
from numpy.typing import NDArray

from imeasure_server.imaging.volume import LPS_TO_RAS, Geometry, Volume

SHAPE = (48, 40, 24)
SPACING = (1.2, 1.1, 2.5)


@dataclass(frozen=True, eq=False)
class Scene:
    """A CT-like image with one bright ball.

    Attributes:
        volume: int16 HU.
        truth: (x, y, z) bool, the ball.
        centre: voxel in the middle of the ball.
    """

    volume: Volume
    truth: NDArray[np.bool_]
    centre: tuple[int, int, int]

    @property
    def click(self) -> list[int]:
        """The centre as JSON."""
        return list(self.centre)


def ball_scene(
    seed: int = 0,
    directions: NDArray[Any] | None = None,
    centre: tuple[int, int, int] = (28, 18, 9),
    shape: tuple[int, int, int] = SHAPE,
) -> Scene:
    """A ball of 9 mm radius and 80 HU in -40 HU with noise."""
    axes = np.eye(3) if directions is None else directions
    geometry = Geometry.from_axes([-31.5, 12.25, 40.0], SPACING, axes, shape)
    indices = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    truth = np.linalg.norm((indices - np.array(centre)) * np.array(SPACING), axis=-1) <= 9
    noise = np.random.default_rng(seed).normal(0, 8, shape)
    array = np.rint(np.where(truth, 80, -40) + noise).astype(np.int16)
    return Scene(Volume(array, geometry), truth, centre)


OBLIQUE = np.linalg.qr(np.array([[0.9, -0.3, 0.2], [0.25, 0.95, -0.1], [-0.2, 0.15, 0.97]]))[0]
OBLIQUE = OBLIQUE * np.sign(np.diag(OBLIQUE))


@dataclass(frozen=True, eq=False)
class Reply:
    """A multipart answer, taken apart.

    Attributes:
        params: the JSON.
        file: bytes of the mask's file.
        filename: that it came with.
    """

    params: dict[str, Any]
    file: bytes
    filename: str

    @property
    def mask(self) -> NDArray[Any]:
        """Voxels of a ``.nii.gz`` as they are stored."""
        return np.asarray(self.nifti.dataobj)

    @property
    def nifti(self) -> Any:
        """The ``.nii.gz`` by nibabel."""
        assert self.filename.endswith(".nii.gz")
        return nibabel.Nifti1Image.from_bytes(gzip.decompress(self.file))

    @property
    def lps_affine(self) -> NDArray[Any]:
        """Voxel to LPS, of the file."""
        return np.asarray(LPS_TO_RAS @ self.nifti.affine)


def ask(
    url: str,
    params: Mapping[str, Any] | None,
    file: bytes | None = None,
    name: str = "image.nii.gz",
    *,
    model: str = "segmentation",
    label: tuple[str, bytes] | None = None,
    query: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """One POST; ``fields`` are more text parts of the form."""
    files: dict[str, Any] = {} if file is None else {"file": (name, file)}
    if label is not None:
        files["label"] = label
    data = {**({} if params is None else {"params": json.dumps(params)}), **(fields or {})}
    with httpx.Client(trust_env=False, timeout=120) as client:
        return client.post(f"{url}/infer/{model}", params=query, data=data, files=files, headers=headers)


def reply_of(response: httpx.Response) -> Reply:
    """Take a multipart answer apart, and check what every client relies on."""
    assert response.status_code == 200, response.text
    assert int(response.headers["content-length"]) == len(response.content)
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + response.content)
    params, image = list(message.iter_parts())
    assert params.get_filename() is None
    assert params.get_param("name", header="content-disposition") == "params"
    assert image.get_param("name", header="content-disposition") == "image"
    filename = image.get_filename()
    assert filename is not None
    boundary = response.headers["content-type"].split("boundary=")[1].encode()
    body = response.content.split(b"--" + boundary)[2]
    file = body.split(b"\r\n\r\n", 1)[1][:-2]
    return Reply(json.loads(params.get_content()), file, filename)


def dice(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Of two masks."""
    return float(2 * np.logical_and(first, second).sum() / (first.astype(bool).sum() + second.astype(bool).sum()))
