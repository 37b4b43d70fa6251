"""The methods that people have today: region growing, random walker, grow-cut, graph cut from histograms.

Their seeds: a small ball around every positive click is the object (two extreme points: around the middle third of the
line between them; a pen contour: the inner half of what it encloses). A ball around every negative click is not the
object, nor is the outer shell of the volume, nor what is farther from the middle of two extreme points or of a contour
than these are long. None of them reads a previous mask: a correction is answered from the whole history.
"""

from __future__ import annotations

import warnings

import maxflow
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from bench.methods import Unavailable, Unsuited
from scipy import ndimage
from skimage.segmentation import random_walker

from imeasure_server.imaging.volume import BoolArray, FloatArray, Volume
from imeasure_server.segmentation.prompts import Index, Prompts
from imeasure_server.segmentation.strokes import stroke_mask

BRUSH = 4.0  # mm, radius of the balls
MOST_VOXELS = 350_000  # for the methods that solve a system over the whole volume: larger ones are thinned out
MOST_WALKED = 120_000  # the same for the random walker, which does worse on finer, noisier grids


def confidence_connected(volume: Volume, prompts: Prompts) -> BoolArray:
    """SimpleITK's region growing, with its usual parameters, on a smoothed image; negative clicks cut a hole."""
    image = sitk.GetImageFromArray(volume.array.astype(np.float32).T)
    image.SetSpacing([float(s) for s in volume.geometry.spacing])
    smooth = sitk.CurvatureFlow(image, timeStep=0.06, numberOfIterations=5)
    seeds = [list(voxel) for voxel in _object_voxels(prompts, volume.geometry.shape)]
    grown = sitk.ConfidenceConnected(
        smooth, seeds, numberOfIterations=2, multiplier=2.0, initialNeighborhoodRadius=2, replaceValue=1
    )
    mask = np.asarray(sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(grown, [1, 1, 1])).T > 0)
    for voxel in prompts.negative_voxels:
        mask[voxel] = False
    return mask


def random_walk(volume: Volume, prompts: Prompts) -> BoolArray:
    """scikit-image's random walker."""
    image, seeds, steps = _thinned(volume, prompts, MOST_WALKED)
    scaled = np.clip(image, *np.percentile(image, (1, 99)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of probabilities just below 0, which change no label
        labels = random_walker(
            (scaled - scaled.mean()) / max(float(scaled.std()), 1e-6),
            seeds,
            beta=130,
            mode="cg_j",
            tol=1e-3,
            spacing=volume.geometry.spacing * steps / (volume.geometry.spacing * steps).min(),
        )
    return _restored(labels == 1, steps, volume)


def grow_cut(volume: Volume, prompts: Prompts) -> BoolArray:
    """Slicer's own fast grow-cut (Segment Editor: Grow from seeds).

    Raises:
        Unavailable: slicer-core is not installed.
    """
    try:
        from slicer_core.vtkSlicerSegmentationsModuleLogic import vtkImageGrowCutSegment
        from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
        from vtkmodules.vtkCommonDataModel import vtkImageData
    except ImportError as error:
        raise Unavailable("slicer-core is not installed.") from error
    image, seeds, steps = _thinned(volume, prompts)

    def picture(values: npt.NDArray[np.int16]) -> vtkImageData:
        result = vtkImageData()
        result.SetDimensions(*values.shape)
        result.SetSpacing(*(volume.geometry.spacing * steps))
        result.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(values.ravel(order="F")), deep=True))
        return result

    tool = vtkImageGrowCutSegment()
    tool.SetIntensityVolume(picture(np.rint(image).astype(np.int16)))
    tool.SetSeedLabelVolume(picture(seeds.astype(np.int16)))
    tool.Update()
    labels = vtk_to_numpy(tool.GetOutput().GetPointData().GetScalars()).reshape(image.shape, order="F")
    return _restored(labels == 1, steps, volume)


def histogram_cut(volume: Volume, prompts: Prompts) -> BoolArray:
    """Boykov and Jolly (ICCV 2001): intensity histograms of the seeds, and one minimum cut."""
    image, seeds, steps = _thinned(volume, prompts)
    spacing = volume.geometry.spacing * steps
    away = ndimage.distance_transform_edt(seeds != 1, sampling=spacing)
    low, high = np.percentile(image, (1, 99))
    bins = np.clip((image - low) / max(high - low, 1e-6) * 31, 0, 31).astype(int)
    likely = []
    for part in (away <= max(5.0, 1.5 * float(spacing.max())), seeds == 2):
        counts = ndimage.gaussian_filter1d(np.bincount(bins[part], minlength=32).astype(float), 1.0) + 0.5
        likely.append(counts / counts.sum())
    odds = np.log(likely[0][bins] / likely[1][bins])
    noise = float(np.median(np.abs(np.diff(image, axis=0)))) + 1e-6
    graph = maxflow.GraphFloat()
    nodes = graph.add_grid_nodes(image.shape)
    for axis in range(3):
        change = np.zeros(image.shape)
        change[tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))] = np.diff(image, axis=axis)
        structure = np.zeros((3, 3, 3))
        structure[tuple(2 if a == axis else 1 for a in range(3))] = 1
        weights = 3.0 * np.exp(-0.5 * (change / (3 * noise)) ** 2) * float(spacing.min() / spacing[axis])
        graph.add_grid_edges(nodes, weights=weights, structure=structure, symmetric=True)
    odds[seeds == 1], odds[seeds == 2] = 1e6, -1e6
    graph.add_grid_tedges(nodes, np.maximum(odds, 0), np.maximum(-odds, 0))
    graph.maxflow()
    mask = ~graph.get_grid_segments(nodes)
    labels, _ = ndimage.label(mask)
    return _restored(np.isin(labels, np.unique(labels[seeds == 1])) & mask, steps, volume)


def _object_voxels(prompts: Prompts, shape: Index) -> list[Index]:
    voxels = [point.voxel for point in prompts.points if point.positive]
    for pair in prompts.extreme_pairs:
        first, second = np.array(pair.first), np.array(pair.second)
        for share in np.linspace(1 / 3, 2 / 3, 9):
            x, y, z = (int(v) for v in np.rint(first + share * (second - first)))
            voxels.append((x, y, z))
    if prompts.strokes:
        drawn = stroke_mask(prompts.strokes, shape)
        depth = ndimage.distance_transform_edt(drawn, sampling=(1.0, 1.0, 1e3))
        voxels += [(int(x), int(y), int(z)) for x, y, z in np.argwhere(depth >= 0.5 * depth.max())]
    if not voxels:
        raise Unsuited
    return voxels


def _known_extents(prompts: Prompts, spacing: FloatArray) -> list[tuple[FloatArray, float]]:
    """What tells a size: the middle (voxels) and the length (mm) of every pair of extreme points and contour."""
    ends = [np.array([pair.first, pair.second]) for pair in prompts.extreme_pairs]
    ends += [np.array([stroke.points.min(axis=0), stroke.points.max(axis=0)]) for stroke in prompts.strokes]
    return [(end.mean(axis=0), float(np.linalg.norm((end[1] - end[0]) * spacing))) for end in ends]


def _thinned(
    volume: Volume, prompts: Prompts, most: int = MOST_VOXELS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.int_]]:
    """The image with every n-th voxel, its seeds (1 object, 2 not the object), and the steps along each axis."""
    shape, spacing = np.array(volume.geometry.shape), volume.geometry.spacing
    steps = np.ones(3, dtype=int)
    while float(np.prod(np.ceil(shape / steps))) > most:
        steps[int(np.argmin(spacing * steps))] += 1
    sigma = [0.4 * (step - 1) for step in steps]
    smooth = ndimage.gaussian_filter(volume.array.astype(np.float64), sigma)
    image = smooth[:: steps[0], :: steps[1], :: steps[2]]
    return image, _seeds(image.shape, volume.geometry.shape, spacing, steps, prompts), steps


def _seeds(
    shape: Index, whole: Index, spacing: FloatArray, steps: npt.NDArray[np.int_], prompts: Prompts
) -> npt.NDArray[np.int32]:
    """1 object, 2 not the object, 0 unknown, on every ``steps``-th voxel; where balls meet the nearer click counts."""
    seeds = np.full(shape, 2, dtype=np.int32)
    seeds[1:-1, 1:-1, 1:-1] = 0
    for middle, length in _known_extents(prompts, spacing):
        away = [((np.arange(n) * s - m) * w) ** 2 for n, s, m, w in zip(shape, steps, middle, spacing, strict=True)]
        seeds[away[0][:, None, None] + away[1][None, :, None] + away[2] > length**2] = 2
    distances = []
    for voxels in (_object_voxels(prompts, whole), prompts.negative_voxels):
        clicked = np.zeros(shape, dtype=bool)
        for voxel in voxels:
            x, y, z = (min(round(v / s), n - 1) for v, s, n in zip(voxel, steps, shape, strict=True))
            clicked[x, y, z] = True
        far = np.full(shape, np.inf)
        distances.append(ndimage.distance_transform_edt(~clicked, sampling=spacing * steps) if voxels else far)
    seeds[(distances[1] <= BRUSH) & (distances[1] < distances[0])] = 2
    seeds[(distances[0] <= BRUSH) & (distances[0] <= distances[1])] = 1
    return seeds


def _restored(mask: BoolArray, steps: npt.NDArray[np.int_], volume: Volume) -> BoolArray:
    """A mask of the thinned image at the volume's voxels (linear interpolation)."""
    if (steps == 1).all():
        return mask
    index = np.meshgrid(*(np.arange(n) / s for n, s in zip(volume.geometry.shape, steps, strict=True)), indexing="ij")
    return np.asarray(ndimage.map_coordinates(mask.astype(np.float32), index, order=1, mode="nearest") > 0.5)
