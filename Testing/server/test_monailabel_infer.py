"""``POST /infer/segmentation`` over HTTP: kinds of files, geometry, forms of prompts, modes, outputs and errors."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from infer_http import OBLIQUE, Reply, Scene, ask, ball_scene, dice, reply_of
from numpy.typing import NDArray

from imeasure_server.api.monailabel.failures import model_errors
from imeasure_server.errors import ApiError
from imeasure_server.imaging.nifti import write_nifti
from imeasure_server.models.failures import OutOfMemory
from phantoms.dicom_series import (
    SeriesOptions,
    as_read,
    dicom_bytes,
    multiframe_dataset,
    series_datasets,
    series_zip,
)

FLIPPED_Z = np.diag([1.0, 1.0, -1.0])
LEFT_HANDED = np.diag([-1.0, 1.0, 1.0])
PLAIN, TURNED = ball_scene(), ball_scene(1, OBLIQUE)
DOCUMENTED = {"prompt_info", "nninter_elapsed", "flipped", "label_name"}


def nifti(scene: Scene, folder: Path) -> bytes:
    path = folder / "image.nii.gz"
    write_nifti(path, scene.volume.array, scene.volume.geometry)
    return path.read_bytes()


def nrrd(scene: Scene, folder: Path) -> bytes:
    image = sitk.GetImageFromArray(np.ascontiguousarray(scene.volume.array.T))
    geometry = scene.volume.geometry
    image.SetOrigin(geometry.origin.tolist())
    image.SetSpacing(geometry.spacing.tolist())
    image.SetDirection(geometry.directions.reshape(-1).tolist())
    path = folder / "image.nrrd"
    sitk.WriteImage(image, str(path))
    return path.read_bytes()


def one_point(scene: Scene, **more: Any) -> dict[str, Any]:
    return {"nninter": "sam3", "pos_points": [scene.click], **more}


def one_box(scene: Scene) -> dict[str, Any]:
    x, y, z = scene.centre
    return {"nninter": "sam3", "pos_boxes": [[x - 8, y - 9, x + 8, y + 9, z]]}


ZIP = series_zip(PLAIN.volume)


@pytest.mark.parametrize(
    ("form", "directions"),
    [("nifti", None), ("nifti", OBLIQUE), ("nifti", FLIPPED_Z), ("nrrd", OBLIQUE), ("nrrd", LEFT_HANDED)],
)
def test_the_mask_lies_where_the_image_lies(
    live_server: str, tmp_path: Path, form: str, directions: NDArray[Any] | None
) -> None:
    scene = ball_scene(2, directions)
    content, name = (nifti(scene, tmp_path), "a.nii.gz") if form == "nifti" else (nrrd(scene, tmp_path), "a.nrrd")
    reply = reply_of(ask(live_server, one_box(scene), content, name))
    assert set(reply.params) == DOCUMENTED
    assert reply.params["flipped"] is False
    check_mask(reply, scene)


def check_mask(reply: Reply, scene: Scene) -> None:
    """uint8 0 and 1, on the scene's grid, of the scene's ball."""
    assert reply.nifti.header.get_data_dtype() == np.uint8
    assert reply.mask.shape == scene.volume.array.shape
    assert set(np.unique(reply.mask)) == {0, 1}
    np.testing.assert_allclose(reply.lps_affine, scene.volume.geometry.affine, atol=1e-3)
    assert reply.mask[scene.centre]
    assert dice(reply.mask, scene.truth) > 0.8


@pytest.mark.parametrize(
    ("kind", "directions", "reverse"),
    [
        ("flat", None, False),
        ("flat", FLIPPED_Z, False),
        ("flat", OBLIQUE, True),
        ("nested", OBLIQUE, False),
        ("nested", LEFT_HANDED, True),
        ("multiframe", OBLIQUE, False),
        ("multiframe", FLIPPED_Z, True),
        ("multiframe", LEFT_HANDED, False),
    ],
)
def test_dicom_of_any_orientation(live_server: str, kind: str, directions: NDArray[Any] | None, reverse: bool) -> None:
    """``flipped`` says whether InstanceNumber decreases along row × column."""
    scene = ball_scene(3, directions)
    options = SeriesOptions(reverse_instances=reverse, series=f"{kind}{reverse}")
    if kind == "multiframe":
        content, name = dicom_bytes(multiframe_dataset(scene.volume, options)), "IM0001.dcm"
    else:
        folder = "2.000000-PRE LIVER-76970" if kind == "nested" else ""
        content, name = series_zip(scene.volume, options, folder=folder, shuffled=4), "series.zip"
    read = as_read(scene.volume)
    turned = read.geometry is not scene.volume.geometry
    truth = scene.truth[:, :, ::-1] if turned else scene.truth
    x, y, z = scene.centre
    centre = (x, y, scene.truth.shape[2] - 1 - z) if turned else scene.centre
    expected = Scene(read, truth, centre)
    reply = reply_of(ask(live_server, one_box(expected), content, name))
    check_mask(reply, expected)
    assert reply.params["flipped"] is (reverse != turned)


def test_a_single_slice_of_dicom(live_server: str) -> None:
    x, y, z = PLAIN.centre
    content = dicom_bytes(series_datasets(PLAIN.volume)[z])
    reply = reply_of(ask(live_server, {"nninter": "sam3", "pos_points": [[x, y, 0]]}, content, "slice.dcm"))
    assert reply.mask.shape == (*PLAIN.volume.array.shape[:2], 1)
    assert dice(reply.mask[..., 0], PLAIN.truth[..., z]) > 0.7


FORMS: dict[str, dict[str, Any]] = {
    "direct": {"pos_points": [[28, 18, 9]], "neg_points": [[10, 10, 9]]},
    "text": {"pos_points": "[[28, 18, 9]]", "neg_points": "[[10, 10, 9]]"},
    "ohif": {
        "prompt_info": [
            {"type": "point", "data": {"pointType": "click", "slice": 9, "x": 28, "y": 18}},
            {"type": "point", "data": {"pointType": "erase", "slice": 9, "x": 10, "y": 10}},
        ]
    },
    "echo": {"prompt_info": {"pos_points": [[28, 18, 9]], "neg_points": [[10, 10, 9]], "pos_boxes": []}},
    "page": {
        **{f"{sign}_{kind}": [] for sign in ("pos", "neg") for kind in ("boxes", "lassos", "scribbles")},
        "pos_points": [[28, 18, 9]],
        "neg_points": [[10, 10, 9]],
        "texts": [],
        "largest_cc": False,
        "result_extension": ".nii.gz",
        "result_dtype": "uint16",
        "result_compress": False,
        "studyInstanceUID": "1.2.3",
        "restore_label_idx": False,
    },
}


def test_all_forms_of_points_are_one_request(live_server: str) -> None:
    replies = [reply_of(ask(live_server, {"nninter": "sam3", **form}, ZIP, "a.zip")) for form in FORMS.values()]
    for reply in replies:
        np.testing.assert_array_equal(reply.mask, replies[0].mask)
        assert reply.params["prompt_info"] == {
            "pos_points": [[28, 18, 9]],
            "neg_points": [[10, 10, 9]],
            "pos_boxes": [],
            "neg_boxes": [],
        }
        assert reply.params["label_name"].startswith("nninter_pred_2")
        assert reply.mask[28, 18, 9]
        assert not reply.mask[10, 10, 9]


@pytest.mark.parametrize(
    ("prompts", "echo"),
    [
        ({"pos_boxes": [[20, 9, 36, 27, 9]]}, {"pos_boxes": [[20, 9, 36, 27, 9]]}),
        ({"pos_boxes": [[[36, 27, 9], [20, 9, 9]]]}, {"pos_boxes": [[[36, 27, 9], [20, 9, 9]]]}),
        (
            {
                "prompt_info": [
                    {
                        "type": "box",
                        "data": {"pointType": "click", "slice": 9, "x": 20, "y": 9, "width": 16, "height": 18},
                    }
                ]
            },
            {"pos_boxes": [[20, 9, 36, 27, 9]]},
        ),
    ],
    ids=["contract", "page", "ohif"],
)
def test_boxes(live_server: str, prompts: dict[str, Any], echo: dict[str, Any]) -> None:
    reply = reply_of(ask(live_server, {"nninter": "sam3", **prompts}, ZIP, "a.zip"))
    assert reply.params["prompt_info"] == {"pos_points": [], "neg_points": [], "pos_boxes": [], "neg_boxes": [], **echo}
    assert dice(reply.mask, PLAIN.truth) > 0.7
    contract = reply_of(ask(live_server, {"nninter": "sam3", "pos_boxes": [[20, 9, 36, 27, 9]]}, ZIP, "a.zip"))
    np.testing.assert_array_equal(reply.mask, contract.mask)


@pytest.mark.parametrize("kind", ["pos_scribbles", "pos_lassos"])
def test_lines_drawn_by_hand(live_server: str, kind: str) -> None:
    angles = np.linspace(0, 2 * np.pi, 40)
    line = [[28 + 5 * float(np.cos(angle)), 18 + 5 * float(np.sin(angle)), 9] for angle in angles]
    reply = reply_of(ask(live_server, {"nninter": True, kind: [line], "neg_points": []}, ZIP, "a.zip"))
    assert reply.params["prompt_info"][kind] == [line]
    assert dice(reply.mask, PLAIN.truth) > 0.7


@pytest.mark.parametrize("alias", [True, False, "SAM2"])
def test_aliases_of_pages(live_server: str, alias: Any) -> None:
    params = {**one_box(PLAIN), "nninter": alias, "medsam2": "sam3"}
    response = ask(live_server, params, ZIP, "a.zip", query={"output": "json"})
    assert set(response.json()) == (DOCUMENTED | {"sam_elapsed"} if alias is False else DOCUMENTED)


@pytest.mark.parametrize("mode", ["init", "reset"])
def test_init_and_reset_answer_an_empty_object(live_server: str, mode: str) -> None:
    for query in ({}, {"output": "all"}, {"output": "dicom_seg"}):
        response = ask(live_server, {"nninter": mode}, ZIP, "series.zip", query=query)
        assert (response.status_code, response.json()) == (200, {})


def test_a_repeated_upload_is_not_decoded_again(live_server: str) -> None:
    """The slow way is told from the fast one by whether the name still matters: bytes seen before need no decoding."""
    content = series_zip(ball_scene(77).volume)
    assert ask(live_server, {"nninter": "init"}, content, "series.zip").json() == {}
    reply = reply_of(ask(live_server, one_point(PLAIN), content, "C:\\other\\name.of.something"))
    assert reply.mask[PLAIN.centre]


def test_parts_come_in_any_order_and_the_query_in_the_form(live_server: str) -> None:
    params = json.dumps(one_box(PLAIN))
    parts = [("params", (None, params)), ("output", (None, "json")), ("file", ("a.zip", ZIP))]
    with httpx.Client(trust_env=False, timeout=60) as client:
        answers = [
            client.post(f"{live_server}/infer/segmentation{slash}", files=order).json()
            for order in (parts, parts[::-1])
            for slash in ("", "/")
        ]
    assert {tuple(sorted(answer)) for answer in answers} == {tuple(sorted(DOCUMENTED))}


# Outputs


def test_outputs(live_server: str) -> None:
    whole = reply_of(ask(live_server, one_box(PLAIN), ZIP, "a.zip", query={"output": "all"}))
    only_json = ask(live_server, one_box(PLAIN), ZIP, "a.zip", query={"output": "json"}).json()
    assert set(only_json) == DOCUMENTED
    image = ask(live_server, one_box(PLAIN), ZIP, "a.zip", query={"output": "image"})
    assert image.headers["content-type"] == "application/gzip"
    assert image.content == whole.file
    wrong = ask(live_server, one_box(PLAIN), ZIP, "a.zip", query={"output": "everything"})
    assert wrong.status_code == 422
    assert set(wrong.json()) == {"detail"}


def test_the_example_of_the_contract_survives_its_own_splitting(live_server: str, tmp_path: Path) -> None:
    """Bytes between the first blank line of the part and the next boundary, with the line end that belongs to that."""
    response = ask(live_server, one_point(TURNED), nifti(TURNED, tmp_path))
    boundary = response.headers["content-type"].split("boundary=")[1]
    (part,) = [part for part in response.content.split(f"--{boundary}".encode()) if b'name="image"' in part]
    saved = tmp_path / "segmentation_mask.nii.gz"
    saved.write_bytes(part.split(b"\r\n\r\n")[1])
    expected = reply_of(response).mask
    np.testing.assert_array_equal(np.asarray(nibabel.load(saved).dataobj), expected)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(saved))).T, expected)


# Errors


def detail(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"detail"}
    text = str(body["detail"])
    assert "Traceback" not in text
    assert "/work" not in text
    assert "/tmp" not in text
    return text


def test_documented_errors(live_server: str) -> None:
    assert detail(ask(live_server, {}, ZIP, "a.zip"), 400) == "KeyError: 'nninter'"
    assert detail(ask(live_server, None, ZIP, "a.zip"), 400) == "KeyError: 'nninter'"
    assert detail(ask(live_server, {"pos_points": [[1, 2, 3]]}, ZIP, "a.zip"), 400) == "KeyError: 'nninter'"
    nothing = "Neither Image nor File not Session ID input is provided"
    assert detail(ask(live_server, {"nninter": "init"}), 400) == nothing
    with pytest.raises(ApiError) as raised, model_errors():
        raise OutOfMemory("The device has too little memory.")
    assert (raised.value.status, raised.value.message) == (500, "CUDA out of memory")


@pytest.mark.parametrize(
    ("params", "file", "query", "status"),
    [
        ({"nninter": "init"}, b"no image at all", {}, 400),
        ({"nninter": "init"}, ZIP[:5000], {}, 400),
        ({"nninter": "init"}, b"", {}, 400),
        ({"nninter": "something"}, ZIP, {}, 400),
        ({"nninter": "sam3"}, ZIP, {}, 400),
        ({"nninter": "sam3", "neg_points": [[3, 3, 3]]}, ZIP, {}, 400),
        ({"nninter": "sam3", "texts": ["liver"]}, ZIP, {}, 400),
        ({"nninter": "sam3", "pos_points": [[1, 2]]}, ZIP, {}, 400),
        ({"nninter": "sam3", "pos_points": [[1, 2, "x"]]}, ZIP, {}, 400),
        ({"nninter": "sam3", "pos_points": {"x": 1}}, ZIP, {}, 400),
        ({"nninter": "sam3", "pos_points": [[1, 2, 300]]}, ZIP, {}, 400),
        ({"nninter": "sam3", "pos_boxes": [[1, 2, 3]]}, ZIP, {}, 400),
        ({"nninter": "sam3", "pos_scribbles": [[]]}, ZIP, {}, 400),
        ({"nninter": "sam3", "prompt_info": [{"type": "sphere", "data": {}}]}, ZIP, {}, 400),
        ({"nninter": "sam3", "prompt_info": [{"type": "point", "data": {"x": 1, "y": 2}}]}, ZIP, {}, 400),
        ({"nninter": "sam3", "prompt_info": ["point"]}, ZIP, {}, 400),
        ({"nninter": "init"}, None, {"image": "nobody"}, 404),
        ({"nninter": "init"}, None, {"image": "../../etc/passwd"}, 404),
        ({"nninter": "init"}, None, {"session_id": "nobody"}, 404),
    ],
)
def test_errors_say_what_is_wrong(
    live_server: str, params: dict[str, Any], file: bytes | None, query: dict[str, str], status: int
) -> None:
    assert len(detail(ask(live_server, params, file, "a.zip", query=query), status)) > 10


def test_unknown_models_and_broken_params(live_server: str) -> None:
    assert "nobody" in detail(ask(live_server, {"nninter": "init"}, ZIP, "a.zip", model="nobody"), 404)
    fields = {"params": "{not json"}
    assert "JSON" in detail(ask(live_server, None, ZIP, "a.zip", fields=fields), 400)
    assert "object" in detail(ask(live_server, None, ZIP, "a.zip", fields={"params": "[1]"}), 400)


# Labels, devices, users


def test_refining_a_label(live_server: str, tmp_path: Path) -> None:
    """What was segmented stays but for what the new click says."""
    first = reply_of(ask(live_server, one_point(PLAIN), ZIP, "a.zip"))
    x, y, z = PLAIN.centre
    outside = [x + 5, y, z]
    params = {"nninter": "sam3", "pos_points": [PLAIN.click], "neg_points": [outside]}
    refined = reply_of(ask(live_server, params, ZIP, "a.zip", label=("label.nii.gz", first.file)))
    assert first.mask[tuple(outside)]
    assert not refined.mask[tuple(outside)]
    assert refined.mask[PLAIN.centre]
    wrong = ask(live_server, params, ZIP, "a.zip", label=("label.nii.gz", b"nothing"))
    assert "label" in detail(wrong, 400)


def test_a_device_that_is_not_there(live_server: str) -> None:
    response = ask(live_server, one_point(PLAIN, device="cuda"), ZIP, "a.zip")
    assert response.headers["x-imeasure-device"] == "cpu"
    params = reply_of(response).params
    assert params["device"] == "cpu"
    assert "cuda" in params["device_note"]
    same = ask(live_server, one_point(PLAIN, device="cpu"), ZIP, "a.zip")
    assert set(reply_of(same).params) == DOCUMENTED


def test_users_are_kept_apart(live_server: str) -> None:
    """Two people work at once on different series; nothing of one request reaches another."""
    scenes = [ball_scene(20, centre=(14, 14, 6)), ball_scene(21, centre=(33, 27, 16))]
    zips = [series_zip(scene.volume, SeriesOptions(series=str(n))) for n, scene in enumerate(scenes)]

    def work(turn: int) -> float:
        scene, content = scenes[turn % 2], zips[turn % 2]
        assert ask(live_server, {"nninter": "init"}, content, "series.zip").json() == {}
        reply = reply_of(ask(live_server, one_point(scene), content, "series.zip"))
        assert ask(live_server, {"nninter": "reset"}, content, "series.zip").json() == {}
        return dice(reply.mask, scene.truth)

    with ThreadPoolExecutor(4) as threads:
        assert min(threads.map(work, range(4))) > 0.8


def test_png_pictures_are_taken(live_server: str) -> None:
    from PIL import Image

    picture = np.full((60, 80), 40, np.uint8)
    picture[20:40, 30:55] = 200
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    params = {"nninter": "sam3", "pos_points": [[42, 30, 0]]}
    reply = reply_of(ask(live_server, params, buffer.getvalue(), "picture.png"))
    assert reply.mask.shape == (80, 60, 1)
    assert reply.mask[42, 30, 0]
