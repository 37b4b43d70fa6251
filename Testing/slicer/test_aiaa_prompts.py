"""What the AI effects keep of prompts and scribbles, how mouse tools make them, and how answers are merged."""

from __future__ import annotations

import json

import numpy as np
import pytest

from conftest import rotation
from IMeasureLib.crop_region import MaskRegion
from IMeasureLib.geometry import VolumeGeometry
from IMeasureLib.prompts import PromptError
from IMeasureLib.segment_edit import EMPTY, sameMask
from SegmentEditorAIAALib.merging import Merge, isUntouched, onSlices, replacedOnSlices
from SegmentEditorAIAALib.prompt_drawing import drawings, promptsFrom
from SegmentEditorAIAALib.prompt_tools import BoxTool, BrushTool, ExtremePointTool, LassoTool, LineTool, PointTool
from SegmentEditorAIAALib.prompts import (
    BOX,
    LASSO,
    LINE,
    POINT,
    Prompt,
    boxCorners,
    onSlice,
    pointsOf,
    saysWhere,
    simplified,
    slicesOf,
)
from SegmentEditorAIAALib.state import EffectState, gridOf
from SegmentEditorAIAALib.strokes import BACKGROUND, ERASE, FOREGROUND, Stroke, coveredVoxels


@pytest.fixture(params=["straight", "oblique and left-handed"])
def geometry(request):
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag([0.8, 0.9, 2.5])
    if request.param != "straight":
        matrix[:3, :3] = rotation((1, -1, 2), 33) @ np.diag([0.8, -0.9, 2.5])
    matrix[:3, 3] = (12.5, -30.0, 47.0)
    return VolumeGeometry(matrix, (50, 40, 20))


def at(geometry, *ijk):
    return tuple(float(value) for value in geometry.ijkToRAS(np.array(ijk, dtype=float)))


def region(shape, *boxes):
    """A (k, j, i) mask of boxes ((k0, k1), (j0, j1), (i0, i1)), as a tight region."""
    mask = np.zeros(shape, dtype=bool)
    for box in boxes:
        mask[tuple(slice(*side) for side in box)] = True
    return MaskRegion.of(mask)


class TestPrompts:
    def test_kinds_and_signs_are_told_apart(self, geometry):
        prompts = (
            Prompt(POINT, (at(geometry, 1, 2, 3),)),
            Prompt(POINT, (at(geometry, 4, 5, 6),), positive=False),
            Prompt(LINE, (at(geometry, 1, 1, 1), at(geometry, 2, 2, 1))),
        )
        assert pointsOf(prompts, POINT, True) == [prompts[0].points]
        assert pointsOf(prompts, POINT, False) == [prompts[1].points]
        assert saysWhere(prompts)
        assert not saysWhere(prompts[1:2])
        assert slicesOf(prompts, geometry) == {1, 3, 6}
        assert onSlice(prompts, 6, geometry) == prompts[1:2]

    @pytest.mark.parametrize(
        ("kind", "count"), [(POINT, 0), (BOX, 1), (LASSO, 2), (LINE, 1), ("something else", 5)], ids=str
    )
    def test_too_little_is_refused(self, kind, count):
        with pytest.raises(PromptError):
            Prompt(kind, ((0.0, 0.0, 0.0),) * count)

    def test_a_line_keeps_its_course_with_fewer_points(self):
        angles = np.linspace(0, np.pi, 200)
        points = [(20.0 * np.cos(a), 20.0 * np.sin(a), 5.0) for a in angles]
        fewer = simplified(points, 0.2)
        assert len(fewer) < 30
        assert fewer[0] == points[0]
        assert fewer[-1] == points[-1]
        assert simplified([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (2.0, 0.0, 0.0)], 0.1) == [(0, 0, 0), (2, 0, 0)]
        # From one point to the same: nothing to project on.
        assert len(simplified([(0.0, 0.0, 0.0), (3.0, 0.0, 0.0), (0.0, 0.0, 0.0)], 0.1)) == 3


class TestDrawing:
    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_moved_corner_makes_another_box_on_the_same_slice(self, geometry, axis):
        first, third = np.array([10.0, 10.0, 10.0]), np.array([20.0, 18.0, 15.0])
        third[axis] = first[axis]
        box = Prompt(BOX, (at(geometry, *first), at(geometry, *third)))
        corners = boxCorners(box, geometry)
        ijk = geometry.rasToIJK(corners)
        assert np.ptp(ijk, axis=0)[axis] == pytest.approx(0)
        assert len({tuple(np.round(corner, 6)) for corner in ijk}) == 4
        positions = {f"0.{number}": corner for number, corner in enumerate(corners)}
        assert promptsFrom(positions, (box,), geometry) == (box,)
        moved = ijk[1] + 2.0
        positions["0.1"] = at(geometry, *moved)
        (edited,) = promptsFrom(positions, (box,), geometry)
        ends = geometry.rasToIJK(edited.points)
        expected = np.stack([ijk[3], np.where(np.arange(3) == axis, ijk[3], moved)])
        assert np.allclose(np.sort(ends, axis=0), np.sort(expected, axis=0), atol=1e-6)

    def test_what_was_deleted_is_gone_and_what_was_not_moved_is_the_same(self, geometry):
        prompts = (
            Prompt(POINT, (at(geometry, 1, 2, 3),)),
            Prompt(POINT, (at(geometry, 4, 5, 6),), positive=False),
            Prompt(BOX, (at(geometry, 1, 1, 1), at(geometry, 5, 5, 1))),
            Prompt(LASSO, (at(geometry, 1, 1, 1), at(geometry, 5, 1, 1), at(geometry, 5, 5, 1)), positive=False),
        )
        drawn = drawings(prompts, geometry)
        assert {key.split()[0] for key in drawn} == {"points", "box", "lasso"}
        positions = {name: point for drawing in drawn.values() for name, point in drawing.points}
        assert promptsFrom(positions, prompts, geometry) == prompts
        for name in ("1.0", "2.3"):
            del positions[name]
        positions["0.0"] = at(geometry, 2, 2, 3)
        edited = promptsFrom(positions, prompts, geometry)
        assert [prompt.kind for prompt in edited] == [POINT, LASSO]
        assert np.allclose(geometry.rasToIJK(edited[0].points[0]), (2, 2, 3))
        assert edited[1] == prompts[3]

    def test_a_lasso_stays_on_its_slice(self, geometry):
        lasso = Prompt(LASSO, (at(geometry, 1, 1, 4), at(geometry, 8, 1, 4), at(geometry, 8, 8, 4)))
        positions = {f"0.{number}": point for number, point in enumerate(lasso.points)}
        positions["0.2"] = at(geometry, 9, 9, 7)
        (edited,) = promptsFrom(positions, (lasso,), geometry)
        assert np.allclose(geometry.rasToIJK(edited.points[2]), (9, 9, 4))


class TestTools:
    def test_points(self, geometry):
        tool = PointTool(geometry)
        tool.viewAxis = 2
        prompt = tool.press(at(geometry, 10, 11, 5.3))
        assert prompt.kind == POINT
        assert prompt.positive
        assert np.allclose(geometry.rasToIJK(prompt.points[0]), (10, 11, 5))
        assert not tool.press(at(geometry, 1, 1, 1), False).positive
        assert PointTool(geometry, sign=False).press(at(geometry, 1, 1, 1), False).positive
        assert ExtremePointTool(geometry).noExcluding

    def test_a_view_at_an_angle_keeps_the_position(self, geometry):
        prompt = PointTool(geometry).press(at(geometry, 10.2, 11.4, 5.3))
        assert np.allclose(geometry.rasToIJK(prompt.points[0]), (10.2, 11.4, 5.3))

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_box_is_dragged(self, geometry, axis):
        tool = BoxTool(geometry)
        tool.viewAxis = axis
        first, last = np.array([10.0, 10.0, 10.0]), np.array([16.0, 15.0, 14.0])
        last[axis] = 10.3
        assert tool.press(at(geometry, *first)) is None
        tool.move(at(geometry, 12, 12, 12))
        assert tool.isBusy
        assert len(tool.preview) == 4
        box = tool.release(at(geometry, *last))
        assert not tool.isBusy
        assert box.kind == BOX
        last[axis] = 10
        assert np.allclose(geometry.rasToIJK(box.points), [first, last])

    def test_a_click_is_no_box_and_escape_forgets_one(self, geometry):
        tool = BoxTool(geometry)
        tool.viewAxis = 2
        tool.press(at(geometry, 10, 10, 10))
        assert tool.release(at(geometry, 10.4, 10.4, 10)) is None
        tool.press(at(geometry, 10, 10, 10))
        tool.cancel()
        assert tool.release(at(geometry, 20, 20, 10)) is None

    def test_a_box_ends_inside_the_volume(self, geometry):
        tool = BoxTool(geometry)
        tool.viewAxis = 2
        tool.press(at(geometry, 40, 30, 10))
        box = tool.release(at(geometry, 90, 90, 10))
        assert np.allclose(geometry.rasToIJK(box.points[1]), (49, 39, 10))

    @pytest.mark.parametrize(("kind", "tool"), [(LASSO, LassoTool), (LINE, LineTool)])
    def test_lines_are_drawn(self, geometry, kind, tool):
        drawn = tool(geometry)
        drawn.viewAxis = 2
        drawn.press(at(geometry, 5, 5, 4), False)
        for step in range(1, 40):
            drawn.move(at(geometry, 5 + 10 * np.sin(step / 12), 5 + step / 4, 4))
        prompt = drawn.release(at(geometry, 5, 16, 4))
        assert prompt.kind == kind
        assert not prompt.positive
        assert 4 <= len(prompt.points) < 30
        assert np.allclose(geometry.rasToIJK(prompt.points)[:, 2], 4)

    def test_a_line_too_short_is_none(self, geometry):
        tool = LassoTool(geometry)
        tool.press(at(geometry, 5, 5, 4))
        assert tool.release(at(geometry, 5, 5, 4)) is None

    def test_the_brush_takes_its_view_along(self, geometry):
        tool = BrushTool(geometry, FOREGROUND, BACKGROUND, radius=2.0)
        tool.viewAxis, tool.viewNormal = 2, tuple(geometry.directions[:, 2])
        tool.press(at(geometry, 5, 5, 4), False)
        stroke = tool.release(at(geometry, 5, 5, 4))
        assert (stroke.value, stroke.radius) == (BACKGROUND, 2.0)
        assert stroke.normal == tuple(geometry.directions[:, 2])


class TestStrokes:
    def stroke(self, geometry, *ijk, value=FOREGROUND, radius=3.0, axis=2):
        normal = tuple(float(part) for part in geometry.directions[:, axis])
        return Stroke(tuple(at(geometry, *point) for point in ijk), value, radius, normal)

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_dab_is_a_disc_of_its_slice(self, geometry, axis):
        center = np.array([25, 20, 10])
        covered = coveredVoxels([self.stroke(geometry, center, radius=6.1, axis=axis)], geometry)[FOREGROUND]
        kji = np.argwhere(covered.full(geometry.shape))
        ijk = kji[:, ::-1]
        assert set(ijk[:, axis]) == {center[axis]}
        grid = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij"), axis=-1).reshape(-1, 3)
        grid = grid[grid[:, axis] == center[axis]]
        expected = grid[np.linalg.norm((grid - center) * geometry.spacing, axis=1) <= 6.1]
        assert {tuple(voxel) for voxel in ijk} == {tuple(voxel) for voxel in expected}

    def test_a_stroke_has_no_gaps_and_the_smallest_brush_marks_its_voxels(self, geometry):
        covered = coveredVoxels([self.stroke(geometry, (5, 5, 3), (30, 20, 3), radius=0.1)], geometry)[FOREGROUND]
        mask = covered.full(geometry.shape)
        assert mask[3, 5, 5]
        assert mask[3, 20, 30]
        wide = coveredVoxels([self.stroke(geometry, (5, 5, 3), (30, 20, 3), radius=2.0)], geometry)[FOREGROUND]
        columns = np.flatnonzero(wide.full(geometry.shape).any(axis=(0, 1)))
        assert (np.diff(columns) == 1).all()

    def test_later_strokes_cover_earlier_ones_and_the_eraser_takes_away(self, geometry):
        inside = self.stroke(geometry, (20, 20, 3), (30, 20, 3))
        outside = self.stroke(geometry, (25, 20, 3), value=BACKGROUND)
        eraser = self.stroke(geometry, (20, 20, 3), value=ERASE, radius=1.0)
        covered = coveredVoxels([inside, outside, eraser], geometry)
        foreground, background = (covered[value].full(geometry.shape) for value in (FOREGROUND, BACKGROUND))
        assert not (foreground & background).any()
        assert background[3, 20, 25]
        assert foreground[3, 20, 30]
        assert not foreground[3, 20, 20]

    def test_strokes_at_the_edge_are_cut_and_those_outside_are_nothing(self, geometry):
        covered = coveredVoxels([self.stroke(geometry, (0, 0, 0), radius=5.0)], geometry)[FOREGROUND]
        assert covered.full(geometry.shape)[0, 0, 0]
        beyond = coveredVoxels([self.stroke(geometry, (-90, -90, -90))], geometry)
        assert all(part.isEmpty for part in beyond.values())
        assert all(part.isEmpty for part in coveredVoxels([], geometry).values())


class TestState:
    def test_it_comes_back_from_its_text(self, geometry):
        made = region((20, 40, 50), ((3, 6), (5, 20), (7, 31)))
        state = EffectState(
            (Prompt(POINT, ((1.25, -3.5, 2.0),), False), Prompt(BOX, ((0.0, 0.0, 1.0), (5.0, 5.0, 1.0)))),
            (Stroke(((1.0, 2.0, 3.0), (2.0, 3.0, 3.0)), ERASE, 2.5, (0.0, 0.0, 1.0)),),
            made,
            gridOf(geometry),
            "a|b",
        )
        text = state.toJSON()
        assert "|" not in text
        back = EffectState.fromJSON(text)
        assert back.prompts == state.prompts
        assert back.strokes == state.strokes
        assert back.model == "a|b"
        assert sameMask(back.madeOn(geometry), made)

    def test_an_answer_on_another_grid_is_not_this_segments(self, geometry):
        other = VolumeGeometry(geometry.matrix + np.eye(4, k=3), geometry.shape)
        state = EffectState(made=region((2, 2, 2), ((0, 1), (0, 1), (0, 1))), grid=gridOf(geometry))
        assert not state.madeOn(geometry).isEmpty
        assert state.madeOn(other).isEmpty

    @pytest.mark.parametrize(
        "text",
        [
            "nonsense",
            "[]",
            "{}",
            '{"version": 1, "grid": 0, "model": "", "prompts": [{"kind": "cross"}]}',
            '{"version": 1, "grid": 0, "model": "", "made": {"size": [1, 1, 1], "origin": [0, 0, 0], "voxels": "@"}}',
            '{"version": 1, "grid": 0, "model": "", "strokes": [{"value": 9}]}',
            '{"version": 1, "grid": 0, "model": "", "prompts": [{"kind": "point", "positive": 1, "points": [[1, 2]]}]}',
        ],
    )
    def test_what_is_damaged_is_a_sentence(self, text):
        with pytest.raises(PromptError, match="damaged"):
            EffectState.fromJSON(text)

    def test_what_is_newer_says_so(self):
        with pytest.raises(PromptError, match="newer"):
            EffectState.fromJSON(json.dumps({"version": 99, "grid": 0, "model": ""}))

    def test_a_huge_mask_is_left_out(self):
        noise = np.random.default_rng(1).random((200, 300, 300)) > 0.5
        state = EffectState(made=MaskRegion(noise, (0, 0, 0)))
        assert len(state.toJSON()) < 1000


class TestMerging:
    shape = (10, 20, 20)

    def box(self, first, last, slices=(2, 8)):
        return region(self.shape, (slices, (first, last), (first, last)))

    def full(self, mask):
        return mask.full(self.shape[::-1])

    def test_an_answer_follows_the_newer_one_and_paint_stays(self):
        painted, first, second = self.box(0, 3), self.box(5, 10), self.box(6, 9)
        merge = Merge(painted, EMPTY, first)
        assert (self.full(merge.wanted) == (self.full(painted) | self.full(first))).all()
        made = merge.made(merge.wanted)
        assert (self.full(made) == self.full(first)).all()
        later = Merge(merge.wanted, made, second)
        assert (self.full(later.wanted) == (self.full(painted) | self.full(second))).all()

    def test_what_was_erased_by_hand_does_not_come_back_unless_asked_for(self):
        answer = self.box(5, 10)
        present = MaskRegion.of(self.full(answer) & ~self.full(self.box(8, 10)))
        merge = Merge(present, answer, answer)
        assert sameMask(merge.wanted, present)
        # Still known as erased after the answer was written.
        made = merge.made(merge.wanted)
        assert sameMask(Merge(merge.wanted, made, answer).wanted, present)
        assert sameMask(Merge(present, answer, answer, erasedStays=False).wanted, answer)

    def test_masking_is_no_erasing(self):
        answer, allowed = self.box(5, 10), self.box(5, 8)
        merge = Merge(EMPTY, EMPTY, answer)
        made = merge.made(allowed)
        assert sameMask(made, allowed)
        assert sameMask(Merge(allowed, made, answer).wanted, answer)

    def test_overlapping_paint_is_not_taken_away_with_an_answer(self):
        painted, answer = self.box(4, 7), self.box(5, 10)
        merge = Merge(painted, EMPTY, answer)
        again = Merge(merge.wanted, merge.made(merge.wanted), self.box(12, 14))
        assert not (self.full(painted) & ~self.full(again.wanted)).any()

    def test_a_model_for_slices_changes_its_slices_only(self):
        made = self.box(5, 10)
        answer = self.box(6, 8, slices=(0, 10))
        merged = self.full(replacedOnSlices(made, answer, {4}))
        assert (merged[4] == self.full(answer)[4]).all()
        others = [k for k in range(10) if k != 4]
        assert (merged[others] == self.full(made)[others]).all()
        assert onSlices(made, {40}).isEmpty

    def test_untouched(self):
        assert isUntouched(self.box(5, 10), self.box(5, 10))
        assert not isUntouched(self.box(5, 10), self.box(5, 9))
        assert not isUntouched(EMPTY, EMPTY)
