"""Coded meanings (SNOMED CT) of label names, for the segments of a DICOM segmentation."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.sr.coding import Code


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


_ANATOMY = _sct("91723000", "Anatomical Structure")
_TISSUE = _sct("85756007", "Tissue")
_ABNORMAL = _sct("49755003", "Morphologically Abnormal Structure")
_SIDES = {"left": _sct("7771000", "Left"), "right": _sct("24028007", "Right")}

_TYPES: dict[Code, dict[str, Code]] = {
    _ANATOMY: {
        "adrenal gland": _sct("23451007", "Adrenal gland"),
        "airway": _sct("89187006", "Airway structure"),
        "aorta": _sct("15825003", "Aorta"),
        "bladder": _sct("89837001", "Bladder"),
        "body": _sct("38266002", "Entire body"),
        "bone": _sct("272673000", "Bone"),
        "brain": _sct("12738006", "Brain"),
        "breast": _sct("76752008", "Breast"),
        "bronchus": _sct("955009", "Bronchus"),
        "colon": _sct("71854001", "Colon"),
        "duodenum": _sct("38848004", "Duodenum"),
        "esophagus": _sct("32849002", "Esophagus"),
        "femur": _sct("71341001", "Femur"),
        "gallbladder": _sct("28231008", "Gallbladder"),
        "heart": _sct("80891009", "Heart"),
        "inferior vena cava": _sct("64131007", "Inferior vena cava"),
        "kidney": _sct("64033007", "Kidney"),
        "larynx": _sct("4596009", "Larynx"),
        "liver": _sct("10200004", "Liver"),
        "lung": _sct("39607008", "Lung"),
        "lymph node": _sct("59441001", "Lymph Node"),
        "pancreas": _sct("15776009", "Pancreas"),
        "portal vein": _sct("32764006", "Portal vein"),
        "prostate": _sct("41216001", "Prostate"),
        "pulmonary artery": _sct("81040000", "Pulmonary artery"),
        "rib": _sct("113197003", "Rib"),
        "skin": _sct("39937001", "Skin"),
        "small bowel": _sct("30315005", "Small intestine"),
        "spinal cord": _sct("2748008", "Spinal cord"),
        "spine": _sct("421060004", "Spine"),
        "spleen": _sct("78961009", "Spleen"),
        "sternum": _sct("56873002", "Sternum"),
        "stomach": _sct("69695003", "Stomach"),
        "thyroid gland": _sct("69748006", "Thyroid"),
        "trachea": _sct("44567001", "Trachea"),
        "uterus": _sct("35039007", "Uterus"),
        "vertebra": _sct("51282000", "Vertebra"),
    },
    _TISSUE: {
        "fat": _sct("55603005", "Fat"),
        "muscle": _sct("127954009", "Skeletal muscle"),
        "tissue": _TISSUE,
    },
    _ABNORMAL: {
        "edema": _sct("79654002", "Edema"),
        "lesion": _sct("52988006", "Lesion"),
        "mass": _sct("4147007", "Mass"),
        "necrosis": _sct("6574001", "Necrosis"),
        "nodule": _sct("27925004", "Nodule"),
        "tumor": _sct("108369006", "Neoplasm"),
    },
}

_SPELLINGS = {
    "adrenal": "adrenal gland",
    "bronchi": "bronchus",
    "neoplasm": "tumor",
    "oesophagus": "esophagus",
    "small intestine": "small bowel",
    "thyroid": "thyroid gland",
    "tumour": "tumor",
    "urinary bladder": "bladder",
    "vertebrae": "vertebra",
}


@dataclass(frozen=True)
class SegmentMeaning:
    """What a segment is.

    Attributes:
        category: anatomical structure, tissue, or abnormal structure.
        type: more exactly.
        side: of the body, or None.
    """

    category: Code
    type: Code
    side: Code | None


def meaning_of(name: str) -> SegmentMeaning:
    """The coded meaning of a label's name as models write them: ``kidney_left``, ``Left lung``, ``vertebrae_L5``.

    A name that is not known means "tissue", as in 3D Slicer: nothing is claimed that the name does not say.
    """
    words = re.split(r"[\s_\-]+", name.strip().lower())
    side = next((_SIDES[word] for word in words if word in _SIDES), None)
    plain = " ".join(word for word in words if word not in _SIDES and not re.fullmatch(r"[clts]?\d+", word))
    for candidate in (plain, plain.removesuffix("s")):
        candidate = _SPELLINGS.get(candidate, candidate)
        for category, types in _TYPES.items():
            if candidate in types:
                return SegmentMeaning(category, types[candidate], side)
    return SegmentMeaning(_TISSUE, _TISSUE, None)
