"""The contract's answers from prepared results: result codes, rounding, batches, when a session has seen enough."""

from __future__ import annotations

import statistics

import pytest
from radanalyzer.prepared import LANDMARKS, measured, rejected, unmeasured

from imeasure_server.api.radanalyzer.answers import Photo, batch_answer, photo_fields, single_answer
from imeasure_server.store.history import PastMeasurement
from imeasure_server.vhs.batch import summarise
from imeasure_server.vhs.capture import (
    AGREE_WITHIN,
    GoodFrame,
    advice,
    best_frame,
    frames_that_agree,
    is_good,
    why_more,
)
from imeasure_server.vhs.results import ResultCode
from imeasure_server.vhs.version import MODEL_VERSION

BILLING = {"billable": False, "reason": "no_valid_vhs", "monthly_usage": 47, "tier": "paygo"}
SINGLE_FIELDS = {
    "vhs", "vlas", "prediction", "result_code", "result_description", "model_confidence", "spread", "pop_detected",
    "model_version", "historic_vhs", "historic_vlas", "billing",
}  # fmt: skip
DESCRIPTIONS = {
    0: "Abnormal result — unexpected prediction state",
    1: "VHS and VLAS predicted successfully with high confidence",
    2: "VHS and VLAS predicted successfully with moderate confidence",
    3: "VHS and VLAS predicted but confidence is low — review recommended",
    4: "VHS predicted successfully, VLAS could not be calculated",
    5: "Neither VHS nor VLAS could be calculated — check image quality.",
    6: "Image rejected — not a valid radiograph.",
    7: "PoP image detected but perspective correction failed",
}
RESULTS = {
    0: unmeasured(ResultCode.ABNORMAL, landmarks=LANDMARKS, spread=0.02),
    1: measured(spread=0.0049),
    2: measured(spread=0.005),
    3: measured(spread=0.008),
    4: measured(vlas=None),
    5: unmeasured(),
    7: unmeasured(ResultCode.NOT_RECTIFIED, pop_detected=True),
}


@pytest.mark.parametrize("code", RESULTS)
def test_every_code_has_the_contracts_fields_and_words(code: int) -> None:
    answer = single_answer(RESULTS[code], False, None, BILLING)
    assert set(answer) == SINGLE_FIELDS
    assert (answer["result_code"], answer["result_description"]) == (code, DESCRIPTIONS[code])
    assert answer["model_version"] == MODEL_VERSION == "3.3.0-ensemble"
    assert (answer["vhs"] is not None) == (1 <= code <= 4)
    assert (answer["vlas"] is not None) == (1 <= code <= 3)
    assert len(answer["prediction"]) == (7 if code <= 4 else 0)
    assert answer["model_confidence"] == {1: "optimal", 2: "good", 4: "optimal"}.get(code, "review")
    assert answer["pop_detected"] is (code == 7)
    assert answer["billing"] is BILLING


def test_rejection_has_exactly_the_contracts_fields() -> None:
    for render, past in ((False, None), (True, [])):
        assert single_answer(rejected(), render, past, BILLING) == {
            "classifier_confidence": 0.7937,
            "model_version": MODEL_VERSION,
            "rejected": True,
            "rejection_reason": "not_a_valid_radiograph",
            "result_code": 6,
            "result_description": "Image rejected — not a valid radiograph.",
            "vhs": None,
            "vlas": None,
            "billing": BILLING,
        }


def test_numbers_are_rounded() -> None:
    answer = single_answer(measured(10.12345, 2.7182818, 0.00316228), False, None, BILLING)
    assert (answer["vhs"], answer["vlas"], answer["spread"]) == (10.12, 2.72, 0.0032)


def test_landmarks_are_named_in_the_contracts_order() -> None:
    landmarks = single_answer(measured(), False, None, BILLING)["prediction"]
    names = ["heart_top", "heart_bottom", "heart_right", "heart_left", "VLAS", "Vertebra A", "Vertebra B"]
    assert [landmark["class"] for landmark in landmarks] == names
    assert [[landmark["x"], landmark["y"]] for landmark in landmarks] == LANDMARKS.tolist()


def test_history_is_null_without_a_uuid_and_empty_without_a_past() -> None:
    for past, told in ((None, None), ([], [])):
        answer = single_answer(measured(), False, past, BILLING)
        assert (answer["historic_vhs"], answer["historic_vlas"]) == (told, told)
    past = [PastMeasurement("2024-01-26", 9.2345, None), PastMeasurement("2026-03-27", 11.38, 1.88)]
    answer = single_answer(measured(), False, past, BILLING)
    assert answer["historic_vhs"] == [["2024-01-26", 9.23], ["2026-03-27", 11.38]]
    assert answer["historic_vlas"] == [["2026-03-27", 1.88]]


def test_the_picture_is_there_only_when_it_was_asked_for() -> None:
    result = measured(rendered=b"png")
    assert "rendered_image" not in single_answer(result, False, None, BILLING)
    assert single_answer(result, True, None, BILLING)["rendered_image"] == "cG5n"
    assert single_answer(unmeasured(), True, None, BILLING)["rendered_image"] is None


def test_the_contracts_batch() -> None:
    """Its own numbers: one good image and a rejected one."""
    photos = [Photo(measured(11.32, 1.87, 0.0023)), Photo(rejected())]
    summary = summarise([photo.result for photo in photos])
    billing = {**BILLING, "billable": True}
    past = [PastMeasurement("2024-01-26", 9.23, 2.12)]
    assert batch_answer(photos, summary, False, past, billing) == {
        "vhs": 11.32,
        "vlas": 1.87,
        "best_photo_index": 0,
        "best_vhs": 11.32,
        "best_vlas": 1.87,
        "median_vhs": 11.32,
        "median_vlas": 1.87,
        "vhs_std": None,
        "vlas_std": None,
        "vhs_confidence": "optimal",
        "vlas_confidence": "optimal",
        "n_photos_processed": 2,
        "n_photos_with_landmarks": 1,
        "processing_started": True,
        "per_photo": [
            {
                "vhs": 11.32,
                "vlas": 1.87,
                "spread": 0.0023,
                "model_confidence": "optimal",
                "landmarks_detected": True,
                "axes_perpendicular": True,
                "pop_detected": False,
            },
            {
                "vhs": None,
                "vlas": None,
                "spread": None,
                "model_confidence": "review",
                "landmarks_detected": False,
                "axes_perpendicular": False,
                "rejected": True,
                "rejection_reason": "not_a_valid_radiograph",
                "classifier_confidence": 0.7937,
            },
        ],
        "historic_vhs": [["2024-01-26", 9.23]],
        "historic_vlas": [["2024-01-26", 2.12]],
        "model_version": "3.3.0-ensemble",
        "billing": billing,
    }


def test_the_best_image_has_a_vhs_and_the_lowest_spread() -> None:
    results = [
        measured(10.0, 2.0, 0.006),
        unmeasured(ResultCode.ABNORMAL, landmarks=LANDMARKS, spread=0.0001),
        measured(10.4, None, 0.001),
        None,
        measured(11.0, 2.6, 0.009),
    ]
    summary = summarise(results)
    assert (summary.best_index, summary.vhs, summary.vhs_confidence) == (2, 10.4, "optimal")
    assert (summary.vlas, summary.vlas_confidence) == (2.0, "good")
    assert summary.median_vhs == 10.4
    assert summary.median_vlas == pytest.approx(2.3)
    assert summary.vhs_std == pytest.approx(statistics.stdev([10.0, 10.4, 11.0]))
    assert summary.vlas_std == pytest.approx(statistics.stdev([2.0, 2.6]))
    assert (summary.processed, summary.with_landmarks) == (5, 4)
    assert summary.is_billable


def test_a_batch_without_a_vhs() -> None:
    summary = summarise([rejected(), unmeasured(), None])
    assert (summary.best_index, summary.vhs, summary.vlas, summary.median_vhs, summary.vhs_std) == (None,) * 5
    assert (summary.vhs_confidence, summary.vlas_confidence) == ("review", "review")
    assert (summary.processed, summary.with_landmarks, summary.is_billable) == (3, 0, False)


def test_an_image_that_could_not_be_read_says_why() -> None:
    assert photo_fields(Photo(error="Invalid image data. It is empty."), True, with_pop=True) == {
        "vhs": None,
        "vlas": None,
        "spread": None,
        "model_confidence": "review",
        "landmarks_detected": False,
        "axes_perpendicular": False,
        "error": "Invalid image data. It is empty.",
    }


def frames(*scores: tuple[float, float]) -> list[GoodFrame]:
    return [GoodFrame(index, vhs, spread) for index, (vhs, spread) in enumerate(scores)]


def test_three_frames_that_agree_are_enough_and_the_surest_is_reported() -> None:
    assert best_frame(frames((10.0, 0.003), (10.2, 0.002))) is None
    best = best_frame(frames((10.0, 0.003), (10.2, 0.002), (10.4, 0.004)))
    assert best is not None
    assert best.index == 1


def test_frames_that_do_not_agree_are_left_out() -> None:
    seen = frames((9.0, 0.001), (10.0, 0.003), (10.6, 0.002), (10.3, 0.004))
    assert frames_that_agree(seen) == ()
    agreeing = frames_that_agree([*seen, GoodFrame(4, 10.05, 0.005), GoodFrame(5, 12.0, 0.0001)])
    assert {frame.index for frame in agreeing} == {1, 3, 4}
    assert max(frame.vhs for frame in agreeing) - min(frame.vhs for frame in agreeing) <= AGREE_WITHIN
    assert best_frame(agreeing) == GoodFrame(1, 10.0, 0.003)


def test_of_equally_large_groups_the_surer_one_is_taken() -> None:
    doubtful, sure = (10.0, 0.004), (11.0, 0.002)
    assert {frame.vhs for frame in frames_that_agree(frames(*[doubtful] * 3, *[sure] * 3))} == {11.0}


@pytest.mark.parametrize(
    ("result", "good"),
    [(measured(), True), (measured(spread=0.0079), True), (measured(vlas=None), True), (measured(spread=0.008), False)]
    + [(result, False) for result in (rejected(), unmeasured(), RESULTS[0], RESULTS[7])],
)
def test_a_frame_counts_when_it_has_a_vhs_that_is_sure(result, good: bool) -> None:  # type: ignore[no-untyped-def]
    assert is_good(result) is good
    assert advice(result).startswith("Good.") is good


def test_why_a_session_goes_on() -> None:
    assert why_more(0) == "0/3 good frames so far, need more"
    assert why_more(4).startswith("4/3 good frames so far, but")
