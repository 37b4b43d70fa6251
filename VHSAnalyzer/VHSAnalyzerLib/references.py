"""Published vertebral heart scores of healthy dogs, each with its source, and hints in words.

Only values that were read in the cited abstract or article, or that a cited later article gives as its own reference,
are here. Breeds for which published values could not be checked are left out. There is no table for cats: the models
have seen dogs only, and the landmarks and ranges of cats are others.
"""

from __future__ import annotations

from dataclasses import dataclass

B2_VHS = 10.5
VLAS_LIMIT = 2.5

CATS = "For dogs only. Cats are not offered: the models were not made for them and their reference ranges are others."

BUCHANAN = (
    "Buchanan JW, Bücheler J. Vertebral scale system to measure canine heart size in radiographs. "
    "J Am Vet Med Assoc 1995;206:194–199"
)
LAMB = (
    "Lamb CR, Wikeley H, Boswood A, Pfeiffer DU. Use of breed-specific ranges for the vertebral heart scale as an aid "
    "to the radiographic diagnosis of cardiac disease in dogs. Vet Rec 2001;148:707–711"
)
BAGARDI = (
    "Bagardi M, Locatelli C, Manfredi M, et al. Breed-specific vertebral heart score, vertebral left atrial size, and "
    "radiographic left atrial dimension in Cavalier King Charles Spaniels: reference interval study. "
    "Vet Radiol Ultrasound 2022;63:156–163"
)
BAVEGEMS = (
    "Bavegems V, Van Caelenberg A, Duchateau L, et al. Vertebral heart size ranges specific for whippets. "
    "Vet Radiol Ultrasound 2005;46:400–403"
)
KRAETSCHMER = (
    "Kraetschmer S, Ludwig K, Meneses F, Nolte I, Simon D. Vertebral heart scale in the beagle dog. "
    "J Small Anim Pract 2008;49:240–243"
)
WIEGEL = (
    "Wiegel PS, Mach R, Nolte I, et al. Breed-specific values for vertebral heart score (VHS), vertebral left atrial "
    "size (VLAS), and radiographic left atrial dimension (RLAD) in pugs without cardiac disease. "
    "PLoS One 2022;17:e0274085"
)
BRITTANY = (
    "Vertebral heart scale for the Brittany Spaniel: breed-specific range and its correlation with heart disease "
    "assessed by clinical and echocardiographic findings. Vet Sci 2021;8:300, doi:10.3390/vetsci8120300"
)
TAYLOR = (
    "Taylor CJ, Simon BT, Stanley BJ, et al. Norwich terriers possess a greater vertebral heart scale than the canine "
    "reference value. Vet Radiol Ultrasound 2020;61:10–15"
)
KEENE = (
    "Keene BW, Atkins CE, Bonagura JD, et al. ACVIM consensus guidelines for the diagnosis and treatment of myxomatous "
    "mitral valve disease in dogs. J Vet Intern Med 2019;33:1127–1140"
)
VEZZOSI = (
    "Vezzosi T, Puccinelli C, Tognetti R, Pelligra T, Citi S. Radiographic vertebral left atrial size: a reference "
    "interval study in healthy adult dogs. Vet Radiol Ultrasound 2020;61:507–511"
)


@dataclass(frozen=True)
class Reference:
    """Published VHS of healthy dogs: mean and standard deviation in vertebrae.

    Attributes:
        note: what is to be known beside the numbers, "" for nothing.
        noteSource: what the note cites, "" for the same source.
    """

    breed: str
    mean: float
    deviation: float
    source: str
    note: str = ""
    noteSource: str = ""

    @property
    def text(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.breed}: {self.mean:g} ± {self.deviation:g}{note}"


ALL_DOGS = Reference("Dogs of various breeds", 9.7, 0.5, BUCHANAN)

REFERENCES: tuple[Reference, ...] = (
    ALL_DOGS,
    Reference("Beagle", 10.3, 0.4, KRAETSCHMER),
    Reference("Brittany Spaniel", 10.6, 0.2, BRITTANY),
    Reference("Cavalier King Charles Spaniel", 10.6, 0.5, LAMB, "10.08 ± 0.56 in Bagardi 2022", BAGARDI),
    Reference("Norwich Terrier", 10.6, 0.6, TAYLOR),
    Reference("Pug", 11.25, 0.62, WIEGEL, "right lateral; left lateral 11.01 ± 0.70"),
    Reference("Whippet", 11.0, 0.5, BAVEGEMS, "right-to-left lateral; left-to-right lateral 11.3 ± 0.5"),
)


def referenceFor(breed: str) -> Reference:
    """The reference of a breed, that of all dogs when there is none."""
    return next((reference for reference in REFERENCES if reference.breed == breed), ALL_DOGS)


def comparison(vhs: float | None, reference: Reference) -> str:
    """Where a score stands beside published healthy dogs, in words; "" without a score."""
    if vhs is None:
        return ""
    away = (vhs - reference.mean) / reference.deviation
    if abs(away) <= 1:
        where = "within one standard deviation of"
    elif abs(away) <= 2:
        where = f"{'above' if away > 0 else 'below'} the mean, within two standard deviations of"
    else:
        where = f"more than two standard deviations {'above' if away > 0 else 'below'}"
    return f"VHS {vhs:.1f} is {where} healthy dogs as published: {reference.text}."


def hints(vhs: float | None, vlas: float | None) -> tuple[str, ...]:
    """What numbers like these may be a reason to look at; never a diagnosis."""
    found = []
    if vhs is not None and round(vhs, 1) >= B2_VHS:
        found.append(
            f"Hint: VHS ≥ {B2_VHS} is one of several criteria for stage B2 of myxomatous mitral valve disease "
            "(ACVIM 2019; with murmur grade ≥ 3/6, LA:Ao ≥ 1.6 and LVIDDN ≥ 1.7). Alone it stages no dog."
        )
    if vlas is not None and round(vlas, 1) >= VLAS_LIMIT:
        found.append(
            f"Hint: VLAS ≥ {VLAS_LIMIT} may go with an enlarged left atrium; echocardiography tells. "
            "(80 healthy dogs: 1.4–2.2, Vezzosi 2020.)"
        )
    return tuple(found)
