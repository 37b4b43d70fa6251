"""The fixed set of phantom lesions that accuracy is reported on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from phantoms.anatomy import SITES
from phantoms.generator import FORMS, LesionPhantom, make_lesion_phantom
from phantoms.shapes import rotation_matrix


def lesion_suite(count: int = 50, seed: int = 0) -> Iterator[LesionPhantom]:
    """Phantoms of every site and form, 8 to 80 mm, on straight, flipped and oblique grids, made one at a time.

    Args:
        count: how many; the first n of a longer suite are the same as a suite of n.
        seed: 0 is the set that is reported; tune on others.
    """
    for index in range(count):
        yield suite_member(index, seed)


def suite_member(index: int, seed: int = 0) -> LesionPhantom:
    """The ``index``-th phantom of a suite; see ``lesion_suite``."""
    rng = np.random.default_rng([7, seed, index])
    site = SITES[index % len(SITES)]
    form = FORMS[int(rng.integers(len(FORMS)))]
    largest = {"lung": 60.0, "kidney": 50.0, "node": 35.0}.get(site, 80.0)
    diameter = float(np.exp(rng.uniform(np.log(8.0), np.log(largest))))
    in_plane = float(rng.uniform(0.6, 0.95))
    thickness = float(rng.choice([1.5, 2.5, 3.0, 5.0] if diameter > 12 else [1.0, 1.5, 2.5]))
    # A client sends the lesion with a margin around it, and never less than 64 x 64 x 16.
    margin = 0.35 * diameter + 18.0
    wide = int(np.clip(round((diameter + 2 * margin) / in_plane / 16) * 16, 96, 192))
    deep = int(np.clip(round((diameter + 2 * margin) / thickness / 8) * 8, 16, 64))
    flips = rng.choice([-1.0, 1.0], size=3)
    kind = index % 4
    directions = np.eye(3)
    if kind == 2:
        directions = np.diag(flips)
    elif kind == 3:
        directions = rotation_matrix(rng)
    return make_lesion_phantom(
        seed * 1000 + index,
        (wide, wide, deep),
        (in_plane, in_plane, thickness),
        directions,
        rng.uniform(-150, 150, 3),
        site=site,
        form=form,
        diameter=diameter,
        contrast=float(rng.uniform(25, 150)),
        noise=float(rng.uniform(10, 28)),
    )
