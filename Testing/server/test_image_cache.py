"""Images decoded once and kept: NIfTI, NRRD and pictures; threads, processes, eviction and what dies in the middle."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from imeasure_server.imaging import decoded_image, image_cache
from imeasure_server.imaging.decoded_image import DecodedImage
from imeasure_server.imaging.image_cache import ImageCache, ImageError
from imeasure_server.imaging.stored_image import StoredImage
from imeasure_server.imaging.volume import LPS_TO_RAS, Volume
from phantoms import make_lesion_phantom
from phantoms.dicom_series import SeriesOptions, series_datasets, series_members, series_zip, write_series, zip_bytes
from phantoms.shapes import rotation_matrix

SHAPE = (20, 16, 9)
OBLIQUE = rotation_matrix(np.random.default_rng(3))

Upload = Callable[[bytes], tuple[Path, str]]


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    """Puts bytes into a file without an ending, as uploads are kept; its path and digest."""

    def put(content: bytes) -> tuple[Path, str]:
        digest = hashlib.sha256(content).hexdigest()
        path = tmp_path / f"upload-{digest[:8]}"
        path.write_bytes(content)
        return path, digest

    return put


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "images", 1 << 30)


def phantom(seed: int = 2) -> Volume:
    return make_lesion_phantom(seed, SHAPE, (0.8, 0.9, 2.5), OBLIQUE, diameter=8).volume


def itk_image(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T))
    image.SetOrigin(volume.geometry.origin.tolist())
    image.SetSpacing(volume.geometry.spacing.tolist())
    image.SetDirection(volume.geometry.directions.reshape(-1).tolist())
    return image


def check(image: StoredImage, volume: Volume) -> None:
    opened = image.volume.open()
    assert np.array_equal(opened.array, volume.array)
    assert opened.array.flags.f_contiguous
    assert not opened.array.flags.writeable
    assert opened.geometry.affine == pytest.approx(volume.geometry.affine, abs=3e-4)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_files_are_recognised_by_their_content(
    tmp_path: Path, cache: ImageCache, upload: Upload, name: str, compressed: bool
) -> None:
    sitk.WriteImage(itk_image(phantom()), str(tmp_path / name), useCompression=compressed)

    path, digest = upload((tmp_path / name).read_bytes())
    image = cache.decode(path, "C:\\data\\whatever.dcm", digest)

    check(image, phantom())
    assert image.format == ("nrrd" if name == "a.nrrd" else "nifti")
    assert (image.headers, image.series_uid, image.flipped, image.digest) == (None, "", False, digest)
    assert path.read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_voxel_types(cache: ImageCache, upload: Upload, tmp_path: Path, dtype: str) -> None:
    array = (np.arange(np.prod(SHAPE)).reshape(SHAPE) % 200).astype(dtype)
    nib.save(nib.Nifti1Image(array, np.diag([-1.0, 2, 3, 1])), tmp_path / "a.nii")

    opened = cache.decode(*(upload((tmp_path / "a.nii").read_bytes())[0], "a.nii"), "1" * 64).volume.open()

    assert opened.array.dtype == (np.float32 if dtype == "float64" else dtype)
    assert np.array_equal(opened.array, array)


def test_values_that_are_no_numbers(cache: ImageCache, tmp_path: Path) -> None:
    """They become the lowest value: one NaN makes everything that a network says of the image NaN. (ITK's NIfTI library
    has made them 0 before anybody sees them, as 3D Slicer then shows.)"""
    array = np.arange(np.prod(SHAPE), dtype=np.float64).reshape(SHAPE) + 7
    array[0, 0, 0], array[1, 1, 1], array[2, 2, 2] = np.nan, np.inf, 1e300
    sitk.WriteImage(sitk.GetImageFromArray(array.T), str(tmp_path / "a.nrrd"))
    sitk.WriteImage(sitk.GetImageFromArray(np.full(SHAPE, np.nan)), str(tmp_path / "b.nrrd"))

    opened = cache.decode(tmp_path / "a.nrrd", "a.nrrd", "1" * 64).volume.open()

    assert [opened.array[index] for index in ((0, 0, 0), (1, 1, 1), (2, 2, 2))] == [8, 8, 8]
    assert opened.array[3, 3, 3] == array[3, 3, 3]
    with pytest.raises(ImageError, match="holds no numbers"):
        cache.decode(tmp_path / "b.nrrd", "b.nrrd", "2" * 64)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_pictures_become_one_slice(cache: ImageCache, upload: Upload, name: str) -> None:
    picture = np.tile(np.arange(40, dtype=np.uint8) * 5, (30, 1))
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG" if name == "a.png" else "JPEG", quality=95)

    path, digest = upload(buffer.getvalue())
    image = cache.decode(path, name, digest)

    opened = image.volume.open()
    assert image.format == "picture"
    assert opened.array.shape == (40, 30, 1)
    assert np.abs(opened.array[:, :, 0].T.astype(int) - picture).max() <= (0 if name == "a.png" else 3)
    assert opened.geometry.spacing == pytest.approx((1, 1, 1))


def test_a_series_on_disk(cache: ImageCache, tmp_path: Path) -> None:
    paths = write_series(tmp_path / "series", phantom(), SeriesOptions(reverse_instances=True))
    (tmp_path / "series" / "notes.txt").write_text("notes")

    image = cache.decode_files([*paths, tmp_path / "series" / "notes.txt"], "studies/patient 1/series:17")

    check(image, phantom())
    assert image.flipped
    assert image.headers is not None
    assert len(list(image.headers.iterdir())) == SHAPE[2]
    assert cache.find("studies/patient 1/series:17") is not None
    assert cache.find("studies/patient 1/series:18") is None


def test_an_image_is_found_again_also_after_a_restart(cache: ImageCache, upload: Upload, tmp_path: Path) -> None:
    path, digest = upload(series_zip(phantom(), SeriesOptions(reverse_instances=True)))
    assert cache.find(digest) is None
    first = cache.decode(path, "a.zip", digest)
    path.unlink()

    for one in (cache, ImageCache(tmp_path / "images", 1 << 30)):
        found = one.find(digest)
        assert found is not None
        check(found, phantom())
        assert (found.flipped, found.series_uid, found.headers) == (True, first.series_uid, first.headers)
        check(one.decode(path, "a.zip", digest), phantom())  # the file is not needed


def test_series_of_one_zip_are_images_of_their_own(cache: ImageCache, upload: Upload) -> None:
    members = {
        **series_members(phantom(), folder="1"),
        **series_members(phantom(5), SeriesOptions(series="second"), folder="2"),
    }
    path, digest = upload(zip_bytes(members))
    largest = cache.decode(path, "a.zip", digest)
    second = str(series_datasets(phantom(5), SeriesOptions(series="second"))[0].SeriesInstanceUID)

    check(cache.decode(path, "a.zip", digest, second), phantom(5))
    check(largest, phantom())
    found = cache.find(digest, second)
    assert found is not None
    assert found.series_uid == second


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello", "not an image of a kind that is read"),
        (b"\x1f\x8b\x08\x00", "damaged"),
        (b"PK\x03\x04 not a zip", "ZIP archive is damaged"),
        (b"\x89PNG\r\n\x1a\n", "PNG picture is damaged"),
        (b"\xff\xd8\xff\xe0", "JPEG picture is damaged"),
        (b"NRRD0004\ntype: short\n", "damaged"),
        (bytes(128) + b"DICM" + b"xxxx", "no DICOM image"),
    ],
)
def test_a_failed_upload_leaves_nothing(
    cache: ImageCache, upload: Upload, tmp_path: Path, content: bytes, words: str
) -> None:
    path, digest = upload(content)

    with pytest.raises(ImageError, match=words) as error:
        cache.decode(path, "scan 1.nii.gz", digest)

    assert str(tmp_path) not in str(error.value)
    assert str(error.value).endswith(".")
    assert list((tmp_path / "images").iterdir()) == []
    assert cache.find(digest) is None


def test_what_is_too_large_is_not_decoded(
    cache: ImageCache, upload: Upload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded_image, "MAX_VOXELS", 1000)
    for name, words in (("a.nrrd", "20 × 16 × 9 voxels"), ("a.nii.gz", "20 × 16 × 9 voxels"), ("a.nii", "voxels")):
        sitk.WriteImage(itk_image(phantom()), str(tmp_path / name), useCompression=True)
        path, digest = upload((tmp_path / name).read_bytes())
        with pytest.raises(ImageError, match=words):
            cache.decode(path, name, digest)


def test_a_bomb_is_not_unpacked(cache: ImageCache, upload: Upload, tmp_path: Path) -> None:
    """Neither what is no image, nor more than the header of an image states."""
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4)), tmp_path / "a.nii")
    image = (tmp_path / "a.nii").read_bytes()
    for content, words in (
        (gzip.compress(bytes(300 << 20), 1), "not an image of a kind that is read"),
        (gzip.compress(image + bytes(300 << 20), 1), "damaged"),
    ):
        path, digest = upload(content)
        with pytest.raises(ImageError, match=words):
            cache.decode(path, "a.nii.gz", digest)


@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_in_both_byte_orders(cache: ImageCache, upload: Upload, tmp_path: Path, order: str) -> None:
    affine = LPS_TO_RAS @ phantom().geometry.affine
    nib.save(nib.Nifti1Image(phantom().array, affine, nib.Nifti1Header(endianness=order)), tmp_path / "a.nii")
    for content in ((tmp_path / "a.nii").read_bytes(), gzip.compress((tmp_path / "a.nii").read_bytes())):
        path, digest = upload(content)
        check(cache.decode(path, "a.nii", digest), phantom())


def test_nifti_2_is_refused(cache: ImageCache, upload: Upload, tmp_path: Path) -> None:
    nib.save(nib.Nifti2Image(np.zeros(SHAPE, np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    path, digest = upload((tmp_path / "a.nii.gz").read_bytes())

    with pytest.raises(ImageError, match="save it as NIfTI-1"):
        cache.decode(path, "a.nii.gz", digest)


def test_nifti_headers_that_make_no_sense(cache: ImageCache, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    nib.save(nib.Nifti1Image(np.zeros((6, 5, 4), np.int16), np.eye(4)), tmp_path / "a.nii")
    content = (tmp_path / "a.nii").read_bytes()
    for number in range(150):
        broken = bytearray(content)
        for at in random.integers(0, 352, 4):
            broken[at] = random.integers(256)
        (tmp_path / "b.nii").write_bytes(broken)
        try:
            cache.decode(tmp_path / "b.nii", "b.nii", f"{number:032x}")
        except ImageError as error:
            assert str(error).endswith(".")  # noqa: PT017
            assert str(tmp_path) not in str(error)  # noqa: PT017


def test_threads_that_ask_for_one_image_decode_it_once(
    cache: ImageCache, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, digest = upload(series_zip(phantom()))
    calls = []
    together = threading.Barrier(8)
    real = image_cache.decode_image

    def counted(*arguments: Any, **options: Any) -> DecodedImage:
        calls.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(image_cache, "decode_image", counted)

    def ask(_: int) -> StoredImage:
        together.wait()
        return cache.decode(path, "a.zip", digest)

    with ThreadPoolExecutor(8) as threads:
        images = list(threads.map(ask, range(8)))

    assert len(calls) == 1
    for image in images:
        check(image, phantom())


PROCESS = """
import sys
from pathlib import Path
from imeasure_server.imaging.image_cache import ImageCache
cache = ImageCache(Path(sys.argv[1]), 1 << 30)
path, digest = Path(sys.argv[2]), sys.argv[3]
if sys.argv[4] == "hold":
    with cache.hold(digest):
        cache.decode(path, "a.zip", digest)
        print("held", flush=True)
        sys.stdin.readline()
elif sys.argv[4] == "die":
    import os, signal
    from imeasure_server.imaging import dicom_series
    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    dicom_series._put = die
    cache.decode(path, "a.zip", digest)
else:
    sys.stdin.readline()
    image = cache.decode(path, "a.zip", digest)
    print(image.volume.open().array.sum())
"""


def start(cache_folder: Path, path: Path, digest: str, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(cache_folder), str(path), digest, what],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(image_cache.__file__).parents[2])},
    )  # fmt: skip


def test_processes_share_a_folder(upload: Upload, tmp_path: Path) -> None:
    path, digest = upload(series_zip(phantom()))
    processes = [start(tmp_path / "images", path, digest, "decode") for _ in range(3)]

    answers = [process.communicate("go\n")[0].strip() for process in processes]

    assert answers == [str(phantom().array.astype(int).sum())] * 3
    assert [folder.name for folder in (tmp_path / "images").iterdir()] == [digest]


def test_a_process_killed_while_it_decodes_leaves_no_half_image(upload: Upload, tmp_path: Path) -> None:
    path, digest = upload(series_zip(phantom()))
    process = start(tmp_path / "images", path, digest, "die")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "images").iterdir()
    assert left.name.startswith(".")

    cache = ImageCache(tmp_path / "images", 1 << 30)
    assert cache.find(digest) is None
    check(cache.decode(path, "a.zip", digest), phantom())

    old = time.time() - 2 * 3600
    os.utime(left, (old, old))
    ImageCache(tmp_path / "images", 1 << 30)
    assert not left.exists()


def size_of_one(tmp_path: Path, upload: Upload) -> int:
    path, digest = upload(series_zip(phantom()))
    image = ImageCache(tmp_path / "measured", 1 << 30).decode(path, "a.zip", digest)
    return int(json.loads((image.volume.path.parent / "image.json").read_text())["bytes"])


def use(cache: ImageCache, digest: str, when: float) -> None:
    """Find an image, as if at another time."""
    image = cache.find(digest)
    assert image is not None
    os.utime(image.volume.path.parent / "image.json", (when, when))


def test_the_least_recently_used_images_go_first(upload: Upload, tmp_path: Path) -> None:
    size = size_of_one(tmp_path, upload)
    cache = ImageCache(tmp_path / "images", int(2.5 * size))
    uploads = [upload(series_zip(phantom(), SeriesOptions(series=name))) for name in "abc"]
    now = time.time()
    for number, (path, digest) in enumerate(uploads[:2]):
        cache.decode(path, "a.zip", digest)
        use(cache, digest, now - 100 + number)
    use(cache, uploads[0][1], now - 10)

    cache.decode(uploads[2][0], "a.zip", uploads[2][1])

    assert [cache.find(digest) is not None for _, digest in uploads] == [True, False, True]
    assert not list((tmp_path / "images").glob(".*.used"))


def test_an_image_larger_than_the_cache_is_kept_until_the_next(upload: Upload, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "images", 10)
    (one, first), (two, second) = (upload(series_zip(phantom(), SeriesOptions(series=name))) for name in "ab")
    check(cache.decode(one, "a.zip", first), phantom())

    check(cache.decode(two, "a.zip", second), phantom())

    assert cache.find(first) is None
    assert cache.find(second) is not None


def test_a_held_image_stays_here_and_in_other_processes(upload: Upload, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "images", 10)
    (one, first), (two, second), (three, third) = (
        upload(series_zip(phantom(), SeriesOptions(series=name))) for name in "abc"
    )
    process = start(tmp_path / "images", two, second, "hold")
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with cache.hold(first), cache.hold(first):
        cache.decode(one, "a.zip", first)
        cache.decode(three, "a.zip", third)
        assert cache.find(first) is not None
        assert cache.find(second) is not None
    process.communicate("go on\n")

    cache.decode(one, "a.zip", first)
    ImageCache(tmp_path / "images", 10)

    assert [cache.find(digest) for digest in (first, second, third)] == [None] * 3
    assert list((tmp_path / "images").iterdir()) == []


def test_a_damaged_or_foreign_folder_is_made_anew(cache: ImageCache, upload: Upload) -> None:
    path, digest = upload(series_zip(phantom()))
    folder = cache.decode(path, "a.zip", digest).volume.path.parent
    for content in ("{", "{}", '{"layout": 0}', None):
        if content is None:
            (folder / "image.json").unlink()
        else:
            (folder / "image.json").write_text(content)
        assert cache.find(digest) is None
        check(cache.decode(path, "a.zip", digest), phantom())


def test_names_of_folders_are_never_paths(cache: ImageCache, upload: Upload, tmp_path: Path) -> None:
    path, _ = upload(series_zip(phantom()))
    for digest in ("../../escaped", "/etc/passwd", "", "A" * 64, "a/b", "."):
        image = cache.decode(path, "a.zip", digest)
        assert image.volume.path.parent.parent == tmp_path / "images"
        assert image.digest == digest


def test_an_image_that_may_not_be_on_the_disk_counts_until_the_machine_starts_again(
    cache: ImageCache, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Event()
    synced = threading.Event()

    def to_disk(path: Path) -> None:
        waiting.wait(20)
        synced.set()

    monkeypatch.setattr("imeasure_server.imaging.image_cache._BOOT", "this boot")
    monkeypatch.setattr("imeasure_server.imaging.image_cache._to_disk", to_disk)
    path, digest = upload(nib.Nifti1Image(np.ones((4, 5, 6), np.int16), np.eye(4)).to_bytes())
    cache.decode(path, "image.nii", digest)
    assert cache.find(digest) is not None
    monkeypatch.setattr("imeasure_server.imaging.image_cache._BOOT", "the next boot")
    assert cache.find(digest) is None
    monkeypatch.setattr("imeasure_server.imaging.image_cache._BOOT", "this boot")
    waiting.set()
    assert synced.wait(20)
    monkeypatch.setattr("imeasure_server.imaging.image_cache._BOOT", "the next boot")
    deadline = time.monotonic() + 20
    while cache.find(digest) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert cache.find(digest) is not None
