"""The studies folder below HTTP: which images it has, what is kept of labels, and what cannot leave it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from imeasure_server.datastore import BadItem, Datastore, UnknownItem, next_sample
from imeasure_server.datastore.index_file import NAME
from imeasure_server.datastore.names import split_name
from imeasure_server.imaging.image_cache import ImageCache
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import encode_label, read_label
from imeasure_server.imaging.nifti import read_nifti, write_nifti
from imeasure_server.imaging.volume import Geometry, Volume
from phantoms.dicom_series import (
    SeriesOptions,
    dicom_bytes,
    multiframe_dataset,
    series_datasets,
    series_zip,
    write_series,
)

OBLIQUE = Geometry.from_axes(
    [-20, 15, 40], [0.8, 0.9, 3.0], np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]), (12, 10, 6)
)


def volume(seed: int = 0) -> Volume:
    values = np.random.default_rng(seed).integers(-1000, 1000, OBLIQUE.shape).astype(np.int16)
    return Volume(values, OBLIQUE)


def add_nifti(folder: Path, name: str, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_nifti(folder / name, volume(seed).array, OBLIQUE)


def label_file(folder: Path, value: int = 1) -> Path:
    mask = np.zeros(OBLIQUE.shape, np.uint8)
    mask[2:5, 2:5, 2:4] = value
    path = folder / f"label-{value}.nii.gz"
    path.write_bytes(encode_label(mask, OBLIQUE, ".nii.gz"))
    return path


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    return tmp_path / "studies"


@pytest.fixture
def datastore(studies: Path, tmp_path: Path) -> Datastore:
    return Datastore(studies, ImageCache(tmp_path / "images", 1 << 30))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("liver.nii.gz", ("liver", ".nii.gz")),
        ("a.b.NII", ("a.b", ".NII")),
        (".nii.gz", None),
        ("notes.txt", None),
    ],
)
def test_ids_are_stems(name: str, parts: tuple[str, str] | None) -> None:
    assert split_name(name, (".nii.gz", ".nii")) == parts


def test_a_folder_that_is_not_there_holds_nothing(datastore: Datastore) -> None:
    assert datastore.status() == {"total": 0, "completed": 0, "label_tags": {}}
    assert datastore.json()["objects"] == {}
    with pytest.raises(UnknownItem):
        datastore.load("liver")


def test_new_files_are_seen_and_deleted_ones_are_not(datastore: Datastore, studies: Path) -> None:
    add_nifti(studies, "b.nii.gz", 1)
    assert list(datastore.list()) == ["b"]
    add_nifti(studies, "a.nii", 2)
    assert list(datastore.list()) == ["a", "b"]
    np.testing.assert_array_equal(datastore.load("a").volume.open().array, volume(2).array)
    (studies / "b.nii.gz").unlink()
    assert list(datastore.list()) == ["a"]
    (studies / "notes.txt").write_text("not an image")
    (studies / ".hidden.nii").write_bytes(b"")
    assert list(datastore.list()) == ["a"]


def test_a_file_written_over_is_decoded_again(datastore: Datastore, studies: Path) -> None:
    add_nifti(studies, "a.nii", 1)
    np.testing.assert_array_equal(datastore.load("a").volume.open().array, volume(1).array)
    add_nifti(studies, "a.nii", 3)
    np.testing.assert_array_equal(datastore.load("a").volume.open().array, volume(3).array)


def test_dicom_series_go_by_their_uid(datastore: Datastore, studies: Path, tmp_path: Path) -> None:
    nested = studies / "patient" / "study"
    write_series(nested / "one", volume(1), SeriesOptions(series="one"))
    write_series(nested / "two", volume(2), SeriesOptions(series="two", reverse_instances=True))
    uids = [str(series_datasets(volume(), SeriesOptions(series=name))[0].SeriesInstanceUID) for name in ("one", "two")]
    assert set(datastore.list()) == set(uids)
    first, second = (datastore.load(uid) for uid in uids)
    np.testing.assert_array_equal(first.volume.open().array, volume(1).array)
    np.testing.assert_allclose(first.volume.affine, OBLIQUE.affine, atol=1e-4)
    assert not first.flipped
    assert second.flipped
    np.testing.assert_array_equal(second.volume.open().array, volume(2).array)
    sent = datastore.image_file(uids[1], tmp_path)
    assert sent.name == f"{uids[1]}.nii.gz"
    again = read_nifti(sent)
    np.testing.assert_array_equal(again.array, volume(2).array)
    np.testing.assert_allclose(again.geometry.affine, OBLIQUE.affine, atol=1e-3)


def test_a_dicom_file_beside_the_others_also_goes_by_its_stem(datastore: Datastore, studies: Path) -> None:
    studies.mkdir()
    dataset = multiframe_dataset(volume(4))
    (studies / "frames.dcm").write_bytes(dicom_bytes(dataset))
    uid = str(dataset.SeriesInstanceUID)
    assert list(datastore.list()) == [uid]
    assert datastore.find("frames").image.id == uid
    np.testing.assert_array_equal(datastore.load("frames").volume.open().array, volume(4).array)


def test_a_series_that_is_still_copied_grows(datastore: Datastore, studies: Path) -> None:
    datasets = series_datasets(volume(1))
    uid = str(datasets[0].SeriesInstanceUID)
    studies.mkdir()
    for number, dataset in enumerate(datasets[:4]):
        (studies / f"{number}").write_bytes(dicom_bytes(dataset))
    assert datastore.load(uid).volume.shape == (12, 10, 4)
    for number, dataset in enumerate(datasets[4:], 4):
        (studies / f"{number}").write_bytes(dicom_bytes(dataset))
    assert datastore.load(uid).volume.shape == (12, 10, 6)


def test_labels_are_kept_whole_with_what_is_known_of_them(datastore: Datastore, studies: Path, tmp_path: Path) -> None:
    add_nifti(studies, "a.nii.gz")
    info = {"label_info": [{"name": "liver", "idx": 1}], "client_id": "someone"}
    assert datastore.save_label("a", label_file(tmp_path), "x.nii.gz", "final", info) == "a"
    kept = studies / "labels" / "final" / "a.nii.gz"
    assert kept.read_bytes() == label_file(tmp_path).read_bytes()
    listed = datastore.json()["objects"]["a"]["labels"]["final"]
    assert listed["ext"] == ".nii.gz"
    assert listed["info"] == {**info, "name": "a.nii.gz", "ts": pytest.approx(listed["info"]["ts"])}
    assert datastore.status() == {"total": 1, "completed": 1, "label_tags": {"final": 1}}
    datastore.update_label_info("a", "final", {"checked": True})
    assert datastore.find("a").label_infos["final"]["checked"] is True
    assert not list(studies.rglob(".partial-*"))
    with pytest.raises(BadItem):
        datastore.save_label("a", kept, "a.txt", "final", {})
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(BadItem):
        datastore.save_label("a", broken, "broken.nii.gz", "final", {})
    assert kept.read_bytes() == label_file(tmp_path).read_bytes()
    datastore.remove_label("a", "final")
    assert not kept.exists()
    with pytest.raises(UnknownItem):
        datastore.label_file("a", "final")


def test_one_label_a_tag_whatever_its_format(datastore: Datastore, studies: Path, tmp_path: Path) -> None:
    add_nifti(studies, "a.nii.gz")
    datastore.save_label("a", label_file(tmp_path), "x.nii.gz", "final", {})
    nrrd = tmp_path / "label.nrrd"
    nrrd.write_bytes(encode_label(np.ones(OBLIQUE.shape, np.uint8), OBLIQUE, ".nrrd"))
    datastore.save_label("a", nrrd, "label.nrrd", "final", {})
    assert [path.name for path in (studies / "labels" / "final").iterdir()] == ["a.nrrd"]
    assert datastore.label_file("a", "final").name == "a.nrrd"


def test_the_raw_labels_of_the_ohif_page_become_nifti(datastore: Datastore, studies: Path, tmp_path: Path) -> None:
    add_nifti(studies, "a.nii.gz")
    mask = np.zeros(OBLIQUE.shape, np.uint8)
    mask[3, 4, 5] = 7
    raw = tmp_path / "label.bin"
    raw.write_bytes(mask.tobytes(order="F"))
    datastore.save_label("a", raw, "label.bin", "final", {})
    kept = read_label(datastore.label_file("a", "final"), "a.nii.gz")
    np.testing.assert_array_equal(kept.array, mask)
    np.testing.assert_allclose(kept.geometry.affine, OBLIQUE.affine, atol=1e-4)
    raw.write_bytes(b"\0" * 5)
    with pytest.raises(BadItem, match="one byte for each voxel"):
        datastore.save_label("a", raw, "label.bin", "final", {})


@pytest.mark.parametrize("name", ["../a", "..", ".a", "a\0b", "x" * 300, "a\nb", "?" * 100])
def test_names_that_no_file_can_have(datastore: Datastore, studies: Path, tmp_path: Path, name: str) -> None:
    add_nifti(tmp_path / "elsewhere", "image.nii.gz")
    with pytest.raises(BadItem):
        datastore.add_image(tmp_path / "elsewhere" / "image.nii.gz", "x.nii.gz", "0" * 64, name, {})
    assert not studies.exists() or not list(studies.rglob("*"))


@pytest.mark.parametrize("name", ["2: CT/chest", "a/../../b", "a\\b", 'x?*"<>|', "50%", "50%3A", "%25", "Ä 1", "a b "])
def test_any_other_name_stays_in_the_folder(datastore: Datastore, studies: Path, tmp_path: Path, name: str) -> None:
    """Slicer names volumes so, and MONAI Label's plugin makes the name the id."""
    add_nifti(tmp_path / "elsewhere", "image.nii.gz")
    made = datastore.add_image(tmp_path / "elsewhere" / "image.nii.gz", "x.nii.gz", "0" * 64, name, {"n": 1})
    assert made == name.strip()
    datastore.save_label(name, label_file(tmp_path), "l.nii.gz", "final", {"n": 2})
    item = datastore.list()[made]
    assert (item.info["n"], item.label_infos["final"]["n"]) == (1, 2)
    assert item.image.files[0].parent == studies
    assert item.labels["final"].parent == studies / "labels" / "final"
    assert item.info["name"] == item.image.files[0].name
    assert not set(item.info["name"]) & set('/\\:*?"<>|')
    np.testing.assert_array_equal(datastore.load(name).volume.open().array, volume().array)
    datastore.remove_image(name)
    assert datastore.list() == {}


@pytest.mark.parametrize("tag", ["../x", "a/b", ".a", "", "a b", "x" * 65])
def test_tags_cannot_leave_the_folder(datastore: Datastore, studies: Path, tmp_path: Path, tag: str) -> None:
    add_nifti(studies, "a.nii.gz")
    with pytest.raises(BadItem):
        datastore.save_label("a", label_file(tmp_path), "l.nii.gz", tag, {})
    with pytest.raises(UnknownItem):
        datastore.label_file("a", tag)


def test_images_are_added_and_removed(datastore: Datastore, studies: Path, tmp_path: Path) -> None:
    add_nifti(tmp_path, "up.nii.gz", 5)
    upload = tmp_path / "up.nii.gz"
    again = tmp_path / "again"
    again.write_bytes(upload.read_bytes())
    assert datastore.add_image(again, "patient.nii.gz", "ab" * 32, None, {"client_id": "me"}) == "patient"
    item = datastore.find("patient")
    assert item.info["client_id"] == "me"
    assert item.info["name"] == "patient.nii.gz"
    assert datastore.load("patient").digest == "ab" * 32  # decoded when it came, and not again
    datastore.save_label("patient", label_file(tmp_path), "l.nii.gz", "final", {})
    with pytest.raises(BadItem):
        datastore.add_image(upload, "patient.txt", "ab" * 32, None, {})
    noise = tmp_path / "noise.nii.gz"
    noise.write_bytes(b"not an image")
    with pytest.raises(ImageError):
        datastore.add_image(noise, "noise.nii.gz", "cd" * 32, None, {})
    assert list(datastore.list()) == ["patient"]
    datastore.remove_image("patient")
    assert datastore.list() == {}
    assert not (studies / "labels" / "final" / "patient.nii.gz").exists()
    with pytest.raises(UnknownItem):
        datastore.remove_image("patient")


def test_a_zip_of_a_series_is_an_image_that_clients_get_as_nifti(datastore: Datastore, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(series_zip(volume(6)))
    assert datastore.add_image(upload, "series.zip", "ef" * 32, "patient", {}) == "patient"
    assert datastore.find("patient").info["name"] == "patient.nii.gz"
    sent = datastore.image_file("patient", tmp_path)
    np.testing.assert_array_equal(read_nifti(sent).array, volume(6).array)


def test_a_folder_of_monai_label_is_taken_over(datastore: Datastore, studies: Path, tmp_path: Path) -> None:
    add_nifti(studies, "spleen.nii.gz")
    (studies / "labels" / "original").mkdir(parents=True)
    label_file(tmp_path).rename(studies / "labels" / "original" / "spleen.nii.gz")
    known = {"ext": ".nii.gz", "info": {"ts": 1, "name": "spleen.nii.gz", "params": {"label_names": {"spleen": 1}}}}
    content = {
        "name": "my studies",
        "description": "of mine",
        "images_dir": ".",
        "labels_dir": "labels",
        "objects": {
            "spleen": {"image": {"ext": ".nii.gz", "info": {"ts": 2}}, "labels": {"original": known}},
            "gone": {"image": {"ext": ".nii.gz", "info": {}}, "labels": {}},
        },
    }
    (studies / NAME).write_text(json.dumps(content))
    listed = datastore.json()
    assert listed["name"] == "my studies"
    assert set(listed["objects"]) == {"spleen"}
    assert listed["objects"]["spleen"]["labels"]["original"] == known
    datastore.update_image_info("spleen", {"seen": 1})
    written = json.loads((studies / NAME).read_text())
    assert written["name"] == "my studies"
    assert written["objects"]["spleen"]["image"]["info"]["seen"] == 1
    assert written["objects"]["spleen"]["labels"]["original"] == known


def test_a_damaged_index_hides_no_image(datastore: Datastore, studies: Path) -> None:
    add_nifti(studies, "a.nii.gz")
    (studies / NAME).write_text("{half a fi")
    assert list(datastore.list()) == ["a"]
    datastore.update_image_info("a", {"seen": 1})
    assert datastore.find("a").info["seen"] == 1


def test_two_servers_on_one_folder_lose_nothing(studies: Path, tmp_path: Path) -> None:
    stores = [Datastore(studies, ImageCache(tmp_path / f"images{n}", 1 << 30)) for n in range(2)]
    for number in range(6):
        add_nifti(studies, f"{number}.nii.gz", number)

    def write(store: Datastore, first: int) -> None:
        for number in range(first, 6, 2):
            store.update_image_info(str(number), {"by": first})
            store.save_label(str(number), label_file(tmp_path, number + 1), "l.nii.gz", "final", {"n": number})

    for number in range(6):
        label_file(tmp_path, number + 1)
    threads = [threading.Thread(target=write, args=(store, n)) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        for image_id, item in store.list().items():
            assert item.info["by"] == int(image_id) % 2
            assert item.label_infos["final"]["n"] == int(image_id)


def test_strategies(datastore: Datastore, studies: Path, tmp_path: Path) -> None:
    assert next_sample(datastore, "first", None) is None
    for name in ("b", "a", "c"):
        add_nifti(studies, f"{name}.nii.gz")
    first, last = next_sample(datastore, "first", "me"), next_sample(datastore, "last", "me")
    assert first is not None
    assert last is not None
    assert (first.image.image.id, last.image.image.id) == ("a", "c")
    assert first.image.info["strategy"]["first"]["client_id"] == "me"
    datastore.save_label("a", label_file(tmp_path), "l.nii.gz", "original", {})
    datastore.save_label("c", label_file(tmp_path), "l.nii.gz", "final", {})
    seen = {found.image.image.id for _ in range(40) if (found := next_sample(datastore, "random", None))}
    assert seen == {"a", "b"}  # c has its final label
    with pytest.raises(UnknownItem):
        next_sample(datastore, "epistemic", None)


READ_ONLY = """
import os
import sys
from pathlib import Path
from imeasure_server.datastore import Datastore, NotWritable, next_sample
from imeasure_server.imaging.image_cache import ImageCache

folder, user = Path(sys.argv[1]), int(sys.argv[2])
studies, label = folder / "studies", folder / "label-1.nii.gz"
Datastore(studies, ImageCache(folder / "other" / "of-root", 1 << 30)).load("a")  # what is imported late is there now
store = Datastore(studies, ImageCache(folder / "other" / "images", 1 << 30))
os.chmod(folder / "other" / "images", 0o777)
os.chmod(studies, 0o555)
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(user)
assert list(store.list()) == ["a"]
assert next_sample(store, "first", "me").image.image.id == "a"
store.load("a")
refused = []
for work in (
    lambda: store.add_image(label, "b.nii.gz", "0" * 64, None, {}),
    lambda: store.save_label("a", label, "l.nii.gz", "final", {}),
    lambda: store.remove_image("a"),
    lambda: store.update_image_info("a", {}),
):
    try:
        work()
    except NotWritable as error:
        refused.append(str(error))
print(len(refused), "cannot write" in refused[0], str(studies) in "".join(refused))
"""


def test_a_read_only_folder_can_be_read_and_says_so() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # the process that tries to write is not root, who may write everywhere
        add_nifti(folder / "studies", "a.nii.gz")
        (folder / "other").mkdir()
        label_file(folder)
        result = subprocess.run(
            [sys.executable, "-c", READ_ONLY, name, "65534"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        (folder / "studies").chmod(0o755)
    assert result.stdout.split() == ["4", "True", "False"], result.stderr
