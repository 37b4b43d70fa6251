"""Labels of a mask: which there are, where they are, and what Slicer's standard terminology calls them."""

from __future__ import annotations

import numpy as np

from AIAAClientLib.mask_labels import labelsIn, regionsOf
from AIAAClientLib.terminology import TERMS, colorFor, terminologyFor


def test_names_of_labels():
    mask = np.array([[[0, 1, 3]]], np.uint8)
    assert labelsIn(mask, {"a": 1, "b": 2, "c": 3}, "m") == {"a": 1, "c": 3}
    assert labelsIn(mask, {"a": 1}, "m") == {"a": 1, "m 3": 3}
    assert labelsIn(mask == 1, {}, "m") == {"m": 1}
    assert labelsIn((mask == 1).astype(np.uint8), {"spleen": 7}, "m") == {"spleen": 1}
    assert labelsIn(np.zeros((1, 1, 1), np.uint8), {"a": 1}, "m") == {}


def test_each_label_in_its_box():
    mask = np.random.default_rng(3).integers(0, 4, (6, 5, 7)).astype(np.uint8)
    mask[0], mask[5] = 0, 2
    regions = regionsOf(mask, {"a": 1, "b": 2, "none": 9})
    assert list(regions) == ["a", "b"]
    assert np.array_equal(regions["a"].full((7, 5, 6)), mask == 1)
    assert np.array_equal(regions["b"].full((7, 5, 6)), mask == 2)
    assert regions["a"].origin[2] == 1


def test_codes_and_colours_of_labels_in_all_spellings():
    assert "SCT^64033007^Kidney~SCT^7771000^Left" in terminologyFor("kidney_left")
    assert "SCT^64033007^Kidney~SCT^24028007^Right" in terminologyFor("Right Kidney")
    assert "SCT^39607008^Lung~^^" in terminologyFor("lungs")
    assert "SCT^87878005^Left Ventricle" in terminologyFor("left ventricle")
    assert "SCT^272673000^Bone" in terminologyFor("bones")
    assert "SCT^248300009^Body fat" in terminologyFor("fat")
    assert "SCT^4147007^Mass" in terminologyFor("Lesion")
    assert terminologyFor("airways") == ""
    assert colorFor("airways") == colorFor("trachea")
    assert terminologyFor("label_17") == ""
    assert colorFor("label_17") is None
    assert len({term.meaning for term in TERMS}) == len(TERMS)
