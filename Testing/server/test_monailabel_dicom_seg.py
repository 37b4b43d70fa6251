"""``output=dicom_seg``: what a PACS stores and gives back lies where the mask lies."""

from __future__ import annotations

import io
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from infer_http import OBLIQUE, Scene, ask, ball_scene, dice
from numpy.typing import NDArray
from orthanc import OrthancServer
from pydicom import Dataset

from phantoms.dicom_series import SeriesOptions, dicom_bytes, multiframe_dataset, series_datasets, series_zip

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"


def segmentation_of(url: str, scene: Scene, content: bytes, **params: Any) -> Dataset:
    asked = {"nninter": "sam3", "pos_points": [scene.click], **params}
    response = ask(url, asked, content, "series.zip", query={"output": "dicom_seg"})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/dicom"
    return pydicom.dcmread(io.BytesIO(response.content))


def world_points(dataset: Dataset) -> tuple[NDArray[Any], NDArray[Any]]:
    """LPS positions of the segment's voxels, worked out from the tags of each frame; and the smallest spacing."""
    frames = hd.seg.Segmentation.from_dataset(dataset).pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    places = []
    for frame, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        holder = groups if "PlaneOrientationSequence" in groups else shared
        cosines = np.array(holder.PlaneOrientationSequence[0].ImageOrientationPatient, float)
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(frame)
        places.append(position + np.outer(columns * spacing[1], cosines[:3]) + np.outer(rows * spacing[0], cosines[3:]))
    return np.concatenate(places), spacing


@pytest.mark.parametrize("kind", ["series", "multiframe"])
@pytest.mark.parametrize("directions", [None, OBLIQUE], ids=["plain", "oblique"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_segmentations_lie_where_the_ball_is(
    live_server: str, kind: str, directions: NDArray[Any] | None, reverse: bool
) -> None:
    scene = ball_scene(50, directions)
    options = SeriesOptions(reverse_instances=reverse, series=f"seg{kind}{reverse}")
    if kind == "series":
        source = series_datasets(scene.volume, options)
        content = series_zip(scene.volume, options, shuffled=1)
    else:
        source = [multiframe_dataset(scene.volume, options)]
        content = dicom_bytes(source[0])
    dataset = segmentation_of(live_server, scene, content)
    assert dataset.SOPClassUID == SEGMENTATION_STORAGE
    assert dataset.StudyInstanceUID == source[0].StudyInstanceUID
    assert dataset.FrameOfReferenceUID == source[0].FrameOfReferenceUID
    assert len(dataset.SegmentSequence) == 1
    points, _ = world_points(dataset)
    voxels = np.rint(scene.volume.geometry.to_voxel(points)).astype(int)
    np.testing.assert_allclose(scene.volume.geometry.to_voxel(points), voxels, atol=0.02)
    mask = np.zeros(scene.truth.shape, bool)
    mask[tuple(voxels.T)] = True
    assert mask[scene.centre]
    assert dice(mask, scene.truth) > 0.8


def test_names_of_segments_can_be_given(live_server: str) -> None:
    scene = ball_scene(51)
    named = segmentation_of(live_server, scene, series_zip(scene.volume), label_info=[{"name": "liver", "idx": 1}])
    assert [segment.SegmentLabel for segment in named.SegmentSequence] == ["liver"]


def test_only_dicom_becomes_dicom(live_server: str, tmp_path: Any) -> None:
    from imeasure_server.imaging.nifti import write_nifti

    scene = ball_scene(52)
    path = tmp_path / "image.nii.gz"
    write_nifti(path, scene.volume.array, scene.volume.geometry)
    asked = {"nninter": "sam3", "pos_points": [scene.click]}
    response = ask(live_server, asked, path.read_bytes(), "image.nii.gz", query={"output": "dicom_seg"})
    assert response.status_code == 400
    assert "DICOM" in response.json()["detail"]


def test_a_pacs_takes_it_and_gives_it_back(live_server: str, orthanc: OrthancServer) -> None:
    scene = ball_scene(53, OBLIQUE)
    options = SeriesOptions(series="pacs", study="pacs", reverse_instances=True)
    orthanc.upload(dicom_bytes(dataset) for dataset in series_datasets(scene.volume, options))
    dataset = segmentation_of(live_server, scene, series_zip(scene.volume, options))
    assert orthanc.store(dataset) == 0
    (identity,) = orthanc.find("Instance", SOPInstanceUID=str(dataset.SOPInstanceUID))
    back = orthanc.instance(identity)
    points, _ = world_points(back)
    np.testing.assert_allclose(points, world_points(dataset)[0])
    (study,) = orthanc.find("Study", StudyInstanceUID=str(dataset.StudyInstanceUID))
    assert len(orthanc.get(f"/studies/{study}")["Series"]) == 2  # the images, and their segmentation in the same study
    referenced = {
        str(item.ReferencedSOPInstanceUID)
        for groups in back.PerFrameFunctionalGroupsSequence
        for item in groups.DerivationImageSequence[0].SourceImageSequence
    }
    assert referenced <= {str(slice_.SOPInstanceUID) for slice_ in series_datasets(scene.volume, options)}
