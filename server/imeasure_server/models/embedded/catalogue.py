"""What is told of the embedded models. Imported where HTTP is answered: nothing here computes."""

from __future__ import annotations

from imeasure_server.models.description import ModelDescription, ModelType

SCRIBBLES = {"background_scribbles": 2, "foreground_scribbles": 3, "connected": True}
"""Values in the label that the client need not name, and whether parts that no scribble is on are dropped."""

DESCRIPTIONS: tuple[ModelDescription, ...] = (
    ModelDescription(
        "deepgrow_3d",
        ModelType.DEEPGROW,
        "Grows a 3D object from clicks on it and beside it. Best for lesions on CT.",
        {"object": 1},
        deepgrow="3d",
    ),
    ModelDescription(
        "deepgrow_2d",
        ModelType.DEEPGROW,
        "Grows an object on one slice from clicks on it and beside it; the other slices stay empty.",
        {"object": 1},
        dimension=2,
        deepgrow="2d",
    ),
    ModelDescription(
        "dextr3d",
        ModelType.ANNOTATION,
        "Segments a 3D object from six or more points on its boundary: left, right, front, back, top and bottom.",
        {"object": 1},
        padding=20.0,
        roi=(128, 128, 128),
    ),
    ModelDescription(
        "segmentation",
        ModelType.SEGMENTATION,
        "Segments a 3D object from points, boxes, scribbles and lassos, on it and beside it.",
        {"object": 1},
        interactive=True,
        config={"largest_cc": False},
    ),
    ModelDescription(
        "Histogram+GraphCut",
        ModelType.SCRIBBLES,
        "Segments what was scribbled on, for any image: histograms of the scribbles and a minimum cut.",
        {"object": 1},
        config=SCRIBBLES,
    ),
    ModelDescription(
        "GMM+GraphCut",
        ModelType.SCRIBBLES,
        "Segments what was scribbled on, for any image: mixtures of Gaussians and a minimum cut.",
        {"object": 1},
        config=SCRIBBLES,
    ),
    ModelDescription(
        "ct_body_parts",
        ModelType.SEGMENTATION,
        "Labels body, lungs, bones, airways, fat and muscle on a CT of any part of the body, by classical methods. "
        "Vessels full of contrast medium may be counted as bone.",
        {"body": 1, "lungs": 2, "bones": 3, "airways": 4, "fat": 5, "muscle": 6},
        config={"modality": "CT", "body": "what is in the body and none of the other parts"},
    ),
)
