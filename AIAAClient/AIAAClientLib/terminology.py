"""Standard terminology and colours of well-known labels.

Codes and colours are those of Slicer's own list "Segmentation category and type - 3D Slicer General Anatomy list".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Color = tuple[float, float, float]
"""Red, green, blue, 0 to 1."""

CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
TISSUE = ("85756007", "Tissue")
ANATOMY = ("123037004", "Anatomical Structure")
ALTERED = ("49755003", "Morphologically Altered Structure")
SIDES = {"right": ("24028007", "Right"), "left": ("7771000", "Left")}


@dataclass(frozen=True)
class Term:
    """A structure.

    Attributes:
        category: SNOMED CT code and meaning.
        meaning, code: of the structure, SNOMED CT.
        sided: whether there is a right and a left one.
    """

    category: tuple[str, str]
    meaning: str
    code: str
    rgb: tuple[int, int, int]
    sided: bool = False

    @property
    def color(self) -> Color:
        red, green, blue = (value / 255.0 for value in self.rgb)
        return red, green, blue

    def serialized(self, side: str) -> str:
        """As segments carry it in their terminology tag."""
        modifier = f"SCT^{SIDES[side][0]}^{SIDES[side][1]}" if self.sided and side else "^^"
        return (
            f"{CONTEXT}~SCT^{self.category[0]}^{self.category[1]}~SCT^{self.code}^{self.meaning}~{modifier}"
            "~Anatomic codes - DICOM master list~^^~^^"
        )


TERMS = (
    Term(TISSUE, "Tissue", "85756007", (128, 174, 128)),
    Term(TISSUE, "Artery", "51114001", (216, 101, 79)),
    Term(TISSUE, "Body fat", "248300009", (230, 220, 70)),
    Term(TISSUE, "Bone", "272673000", (241, 214, 145)),
    Term(TISSUE, "Cartilage", "309312004", (111, 184, 210)),
    Term(TISSUE, "Lymph node", "59441001", (68, 172, 100)),
    Term(TISSUE, "Muscle", "71616004", (192, 104, 88)),
    Term(TISSUE, "Nerve", "119410002", (244, 214, 49)),
    Term(TISSUE, "Organ", "113343008", (221, 130, 101)),
    Term(TISSUE, "Skin", "39937001", (177, 122, 101)),
    Term(TISSUE, "Vein", "29092000", (0, 151, 206)),
    Term(ANATOMY, "Abdominal cavity", "52731004", (186, 124, 161)),
    Term(ANATOMY, "Adrenal gland", "23451007", (249, 186, 150), True),
    Term(ANATOMY, "Aorta", "15825003", (224, 97, 76)),
    Term(ANATOMY, "Bile Duct", "28273000", (0, 145, 30)),
    Term(ANATOMY, "Bladder", "89837001", (222, 154, 132)),
    Term(ANATOMY, "Brain", "12738006", (250, 250, 225)),
    Term(ANATOMY, "Brain ventricle", "35764002", (88, 106, 215)),
    Term(ANATOMY, "Cerebral Grey Matter", "40146001", (128, 174, 128)),
    Term(ANATOMY, "Gray Matter", "389081007", (200, 200, 235)),
    Term(ANATOMY, "White Matter", "389080008", (250, 250, 210)),
    Term(ANATOMY, "Liver", "10200004", (221, 130, 101)),
    Term(ANATOMY, "Rib", "113197003", (253, 232, 158)),
    Term(ANATOMY, "Spleen", "78961009", (157, 108, 162)),
    Term(ANATOMY, "Cervical spine", "122494005", (255, 255, 207)),
    Term(ANATOMY, "Clavicle", "51299004", (205, 179, 108), True),
    Term(ANATOMY, "Colon", "71854001", (204, 168, 143)),
    Term(ANATOMY, "Duodenum", "38848004", (255, 253, 229)),
    Term(ANATOMY, "Esophagus", "32849002", (211, 171, 143)),
    Term(ANATOMY, "Eyeball", "79652003", (194, 142, 0), True),
    Term(ANATOMY, "Gallbladder", "28231008", (139, 150, 98)),
    Term(ANATOMY, "Heart", "80891009", (206, 110, 84)),
    Term(ANATOMY, "Kidney", "64033007", (185, 102, 83), True),
    Term(ANATOMY, "Larynx", "4596009", (150, 208, 243)),
    Term(ANATOMY, "Left Ventricle", "87878005", (152, 55, 13)),
    Term(ANATOMY, "Lower lobe of lung", "90572001", (224, 186, 162), True),
    Term(ANATOMY, "Lumbar spine", "122496007", (212, 188, 102)),
    Term(ANATOMY, "Lung", "39607008", (197, 165, 145), True),
    Term(ANATOMY, "Mandible", "91609006", (222, 198, 101)),
    Term(ANATOMY, "Mediastinum", "72410000", (255, 244, 209)),
    Term(ANATOMY, "Middle lobe of right lung", "72481006", (202, 164, 140)),
    Term(ANATOMY, "Ovary", "15497006", (213, 141, 113), True),
    Term(ANATOMY, "Pancreas", "15776009", (249, 180, 111)),
    Term(ANATOMY, "Pharynx", "54066008", (184, 105, 108)),
    Term(ANATOMY, "Pituitary", "56329008", (57, 157, 110)),
    Term(ANATOMY, "Prostate", "41216001", (230, 158, 140)),
    Term(ANATOMY, "Right Ventricle", "53085002", (181, 85, 57)),
    Term(ANATOMY, "Salivary gland", "385294005", (70, 163, 117)),
    Term(ANATOMY, "Seminal Vesicle", "64739004", (245, 172, 147), True),
    Term(ANATOMY, "Skull", "89546000", (241, 213, 144)),
    Term(ANATOMY, "Small Intestine", "30315005", (205, 167, 142)),
    Term(ANATOMY, "Spinal cord", "2748008", (244, 214, 49)),
    Term(ANATOMY, "Sternum", "56873002", (244, 217, 154)),
    Term(ANATOMY, "Stomach", "69695003", (216, 132, 105)),
    Term(ANATOMY, "Temporal lobe", "78277001", (162, 115, 105), True),
    Term(ANATOMY, "Thalamus", "119406000", (122, 101, 38), True),
    Term(ANATOMY, "Thoracic spine", "122495006", (226, 202, 134)),
    Term(ANATOMY, "Thymus", "9875009", (47, 150, 103)),
    Term(ANATOMY, "Thyroid", "69748006", (62, 162, 114)),
    Term(ANATOMY, "Tongue", "21974007", (166, 84, 94)),
    Term(ANATOMY, "Trachea", "44567001", (182, 228, 255)),
    Term(ANATOMY, "Upper lobe of lung", "45653009", (172, 138, 115), True),
    Term(ANATOMY, "Uterus", "35039007", (255, 181, 158)),
    Term(ALTERED, "Cyst", "367643001", (205, 205, 100)),
    Term(ALTERED, "Edema", "79654002", (140, 224, 228)),
    Term(ALTERED, "Hemorrhage", "50960005", (188, 65, 28)),
    Term(ALTERED, "Mass", "4147007", (144, 238, 144)),
    Term(ALTERED, "Necrosis", "6574001", (216, 191, 216)),
)

SYNONYMS = {
    "fat": "body fat",
    "adipose tissue": "body fat",
    "lymph node": "lymph node",
    "vertebra": "bone",
    "spine": "bone",
    "oesophagus": "esophagus",
    "urinary bladder": "bladder",
    "gall bladder": "gallbladder",
    "small bowel": "small intestine",
    "myocardium": "heart",
    "left ventricle": "left ventricle",
    "lesion": "mass",
    "tumor": "mass",
    "tumour": "mass",
    "nodule": "mass",
    "cancer": "mass",
    "grey matter": "gray matter",
    "brain stem": "brain",
    "spleen": "spleen",
    "lung lower lobe": "lower lobe of lung",
    "lung upper lobe": "upper lobe of lung",
    "lung middle lobe": "middle lobe of right lung",
    "eye": "eyeball",
    "airway": "trachea",
    "body": "skin",
}
"""What servers call a structure → what the list calls it, both lower case and singular."""

COLOR_ONLY = frozenset(("airway", "body", "spine", "vertebra", "myocardium", "brain stem"))
"""Structures that have no code in the list: they get the colour of their synonym and no terminology."""

_byName = {term.meaning.lower(): term for term in TERMS}


def terminologyFor(label: str) -> str:
    """Terminology entry of a label, "" for one that the list does not have."""
    term, side, exact = _find(label)
    return term.serialized(side) if term is not None and exact else ""


def colorFor(label: str) -> Color | None:
    """Usual colour of a label, None for one that nobody knows."""
    term, _, _ = _find(label)
    return term.color if term is not None else None


def _find(label: str) -> tuple[Term | None, str, bool]:
    """The term, the side, and whether it is the structure itself and not only alike."""
    words = re.sub(r"[^a-z0-9]+", " ", label.lower()).split()
    whole = " ".join(words)
    if whole in _byName and not _byName[whole].sided:  # "left ventricle" is one name
        return _byName[whole], "", True
    side = next((word for word in ("left", "right") if word in words), "")
    words = [word for word in words if word not in ("left", "right")]
    for name in _names(" ".join(words)):
        term = _byName.get(SYNONYMS.get(name, name))
        if term is not None:
            return term, side, name not in COLOR_ONLY
    return None, side, False


def _names(name: str) -> list[str]:
    """A name, and its singular."""
    singular = f"{name[:-3]}y" if name.endswith("ies") else name[:-1] if name.endswith("s") else name
    return [name, singular, f"{name[:-2]}a" if name.endswith("ae") else name]
