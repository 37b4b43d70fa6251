"""The score without a server, against the server's own on the same landmarks, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from vhs_pictures import EXAMPLE_ANSWER, PLAUSIBLE, REJECTION, prediction
from VHSAnalyzerLib.answers import CODE_SENTENCES, Answer, AnswerError, answerOf
from VHSAnalyzerLib.history import historyRows
from VHSAnalyzerLib.landmarks import LANDMARK_NAMES, TEMPLATE
from VHSAnalyzerLib.measurement import measure
from VHSAnalyzerLib.references import ALL_DOGS, REFERENCES, comparison, hints, referenceFor
from VHSAnalyzerLib.score import Implausibility, onPlane, scoreLandmarks

server_score = pytest.importorskip("imeasure_server.vhs.score", reason="the server is not in this Python")


def landmarks_of_all_kinds(count):
    """Plausible landmarks moved at random, from hardly to wildly, and some that are degenerate."""
    random = np.random.default_rng(5)
    for index in range(count):
        points = PLAUSIBLE * (1100, 817)
        points = points + random.normal(0, [2, 20, 80, 300][index % 4], points.shape)
        if index % 17 == 0:
            points[6] = points[5]
        if index % 23 == 0:
            points[1] = points[0]
        yield points


@pytest.mark.parametrize("size", [None, (1100.0, 817.0)])
@pytest.mark.parametrize("vertebrae", [6, 5, 4.5])
def test_it_is_the_servers_score(size, vertebrae):
    seen = set()
    for points in landmarks_of_all_kinds(400):
        ours = scoreLandmarks(points, size, vertebrae)
        theirs = server_score.score_landmarks(points, size, vertebrae)
        seen.add(theirs.implausibility)
        assert (ours.implausibility.name if ours.implausibility else None) == (
            theirs.implausibility.name if theirs.implausibility else None
        )
        for mine, other in (
            (ours.vhs, theirs.vhs),
            (ours.vlas, theirs.vlas),
            (ours.longAxis, theirs.long_axis),
            (ours.shortAxis, theirs.short_axis),
        ):
            assert (mine is None) == (other is None)
            assert mine is None or mine == pytest.approx(other, nan_ok=True)
        assert ours.axesPerpendicular == theirs.axes_perpendicular
    assert len(seen) >= 4, "the landmarks are not of all kinds"


def test_its_words_are_the_servers():
    assert {item.name: item.value for item in Implausibility} == {
        item.name: item.value for item in server_score.Implausibility
    }


@pytest.mark.parametrize("points", [np.zeros((6, 2)), np.full((7, 2), math.nan), np.zeros((7, 3))])
def test_what_is_no_seven_points_is_refused(points):
    with pytest.raises(ValueError, match="seven finite points"):
        scoreLandmarks(points)


def test_a_turned_and_mirrored_plane_in_space_has_the_same_score():
    points = PLAUSIBLE * (300.0, 220.0)
    random = np.random.default_rng(1)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    positions = np.column_stack([points, np.zeros(7)]) @ turn.T + (12, -40, 1000)
    assert scoreLandmarks(onPlane(positions)).vhs == pytest.approx(scoreLandmarks(points).vhs)


def test_pixels_that_are_not_square_are_measured_in_millimetres():
    square = measure(None, PLAUSIBLE, (300.0, 200.0))
    assert square.score.vhs == pytest.approx(scoreLandmarks(PLAUSIBLE * (300, 200), (300.0, 200.0)).vhs)


# ---- answers


def test_the_contracts_example_is_read():
    answer = answerOf(EXAMPLE_ANSWER, "2026-11-25T10:00:00+00:00")
    assert (answer.code, answer.vhs, answer.vlas) == (1, 10.4, 2.8)
    assert answer.points[LANDMARK_NAMES.index("Vertebra B")].tolist() == [0.55, 0.12]
    assert answer.confidenceSentence == "Confidence optimal (spread 0.0032 of the picture)"
    again = Answer.fromJSON(answer.toJSON())
    assert again.points.tolist() == answer.points.tolist()
    assert again.historicVHS == (("2026-03-27", 11.38),)


def test_a_rejection_says_why():
    answer = answerOf(REJECTION)
    assert answer.isRejected
    assert answer.points is None
    assert "does not look like a lateral chest radiograph of a dog" in answer.sentence
    assert "79% sure" in answer.sentence


@pytest.mark.parametrize("code", range(8))
def test_every_result_code_is_a_sentence(code):
    sentence = answerOf({**REJECTION, "result_code": code}).sentence
    assert sentence.endswith(".")
    assert len(CODE_SENTENCES) == 8


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"result_code": "one"}, {**EXAMPLE_ANSWER, "prediction": EXAMPLE_ANSWER["prediction"][:6]}],
)
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(AnswerError):
        answerOf(body)


# ---- edits


def test_the_models_answer_stays_when_landmarks_move():
    answer = answerOf(
        {
            **EXAMPLE_ANSWER,
            "prediction": [{"x": x, "y": y, "class": name} for name, (x, y) in zip(LANDMARK_NAMES, PLAUSIBLE.tolist())],
        }
    )
    moved = PLAUSIBLE.copy()
    moved[1] += (0.0, 0.05)
    measurement = measure(answer, moved, (1100.0, 817.0))
    assert measurement.moved == ("heart_bottom",)
    assert measurement.answer.vhs == 10.4
    assert measurement.score.vhs > measure(answer, PLAUSIBLE, (1100.0, 817.0)).score.vhs
    assert not measure(answer, PLAUSIBLE, (1100.0, 817.0)).isEdited


def test_a_score_that_nobody_changed_reads_as_the_model_gave_it():
    """9.05, rounded by the server from 9.0452, was shown as 9.1 beside a 9.0 of the same landmarks."""
    size = (1100.0, 817.0)
    own = scoreLandmarks(PLAUSIBLE * np.array(size), size)
    answer = replace(answerOf({**EXAMPLE_ANSWER, "prediction": prediction(PLAUSIBLE)}), vhs=round(own.vhs, 2) + 0.004)
    assert measure(answer, PLAUSIBLE, size).score.vhs == answer.vhs
    moved = PLAUSIBLE.copy()
    moved[1, 1] += 0.02
    assert abs(measure(answer, moved, size).score.vhs - answer.vhs) > 0.01


def test_what_the_model_would_not_measure_is_not_measured_until_a_person_moves_it():
    answer = answerOf({**EXAMPLE_ANSWER, "vlas": None, "prediction": prediction(PLAUSIBLE)})
    size = (1100.0, 817.0)
    assert measure(answer, PLAUSIBLE, size).score.vlas is None
    assert measure(answer, PLAUSIBLE, size).score.vhs is not None
    moved = PLAUSIBLE.copy()
    moved[1] += 0.01
    assert measure(answer, moved, size).score.vlas is None
    moved[4] += 0.01
    assert measure(answer, moved, size).score.vlas is not None
    nothing = answerOf({**EXAMPLE_ANSWER, "vhs": None, "vlas": None, "prediction": prediction(PLAUSIBLE)})
    assert measure(nothing, PLAUSIBLE, size).score.vhs is None
    assert measure(nothing, moved, size).score.vhs is not None


def test_by_hand_there_is_no_score_before_all_are_placed():
    points = TEMPLATE.copy()
    points[:6] += 0.01
    measurement = measure(None, points, (1000.0, 800.0))
    assert measurement.score is None
    assert measurement.unplaced == ("Vertebra B",)
    assert measure(None, TEMPLATE + 0.01, (1000.0, 800.0)).score.vhs is not None


# ---- references, hints, history


def test_references_have_sources_and_there_is_none_for_cats():
    assert (ALL_DOGS.mean, ALL_DOGS.deviation) == (9.7, 0.5)
    assert "1995" in ALL_DOGS.source
    assert all(reference.source and reference.deviation > 0 for reference in REFERENCES)
    assert not any("cat" in reference.breed.lower().split() for reference in REFERENCES)
    assert referenceFor("a breed that nobody has published") is ALL_DOGS


def test_comparison_and_hints_are_words_not_diagnoses():
    assert "more than two standard deviations above" in comparison(10.9, ALL_DOGS)
    assert "within one" in comparison(9.9, ALL_DOGS)
    assert comparison(None, ALL_DOGS) == ""
    both = hints(10.5, 2.5)
    assert len(both) == 2
    assert all(hint.startswith("Hint:") for hint in both)
    assert "Alone it stages no dog" in both[0]
    assert hints(10.4, 2.4) == ()
    assert hints(None, None) == ()


def test_history_has_the_present_measurement_at_its_end():
    body = {
        **EXAMPLE_ANSWER,
        "historic_vhs": [["2026-01-01", 9.9], ["2026-03-27", 11.38], ["no date", 1]],
        "historic_vlas": [["2026-03-27", 1.88]],
    }
    rows = historyRows(answerOf(body, "2026-11-25T10:00:00+00:00"))
    assert [row.day for row in rows] == ["2026-01-01", "2026-03-27", "2026-11-25"]
    assert [row.daysSinceFirst for row in rows] == [0, 85, 328]
    assert [row.vlas for row in rows] == [None, 1.88, 2.8]
    assert historyRows(None) == ()
