"""Frames: which part of a picture a landmark network is shown, and how points and heat maps go to and fro.

A frame is a (2, 3) affine map from continuous pixels of the picture to continuous pixels of the network's input.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from imeasure_server.vhs.landmarks import FloatArray
from imeasure_server.vhs.network import INPUT_HEIGHT, INPUT_WIDTH, STRIDE

CLOSE_ROOM = 2.1
"""Width of the second look, as a multiple of the extent of the landmarks that the first look found."""

VIEWS = (
    (1.0, 0.0, 0.0, 0.0),
    (0.94, 2.0, 0.02, 0.0),
    (1.06, -2.0, -0.02, 0.01),
    (0.97, -4.0, 0.0, -0.02),
    (1.03, 4.0, 0.0, 0.02),
)
"""Each fold's second look: zoom, turn in degrees, shift as shares of the input; so that the folds err apart."""


def whole_frame(width: float, height: float) -> FloatArray:
    return frame_about(np.array([width, height]) / 2, _fitting_zoom(width, height), 0.0)


def _fitting_zoom(width: float, height: float) -> float:
    return min(INPUT_WIDTH / width, INPUT_HEIGHT / height)


def frame_about(centre: FloatArray, zoom: float, turn: float, shift: tuple[float, float] = (0.0, 0.0)) -> FloatArray:
    """(2, 3) from continuous picture pixels to those of the input."""
    cosine, sine = zoom * math.cos(math.radians(turn)), zoom * math.sin(math.radians(turn))
    linear = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([INPUT_WIDTH * (0.5 + shift[0]), INPUT_HEIGHT * (0.5 + shift[1])])
    return np.column_stack([linear, middle - linear @ centre])


def close_frames(guess: FloatArray, width: float, height: float, count: int) -> list[FloatArray]:
    """Frames about the landmarks, never wider than the whole picture, each in its fold's own view."""
    low, high = guess.min(axis=0), guess.max(axis=0)
    extent = np.maximum(high - low, 1.0) * CLOSE_ROOM
    whole = _fitting_zoom(width, height)
    zoom = max(whole, min(INPUT_WIDTH / extent[0], INPUT_HEIGHT / extent[1], 4 * whole))
    closeness = 1 - whole / zoom  # at 0 the whole picture is seen, and its centre is the frame's
    centre = closeness * (low + high) / 2 + (1 - closeness) * np.array([width, height]) / 2
    return [
        frame_about(centre, zoom * factor, turn, (right, down))
        for factor, turn, right, down in (VIEWS[index % len(VIEWS)] for index in range(count))
    ]


def framed(picture: NDArray[np.uint8], frame: FloatArray) -> NDArray[np.float32]:
    """The part of a picture that a frame shows, black beyond it; large pictures are averaged, not sampled."""
    zoom = math.sqrt(abs(float(np.linalg.det(frame[:, :2]))))
    reduction = 2 ** max(0, math.floor(math.log2(0.75 / zoom)) if zoom < 0.75 else 0)
    if reduction > 1:
        height, width = picture.shape
        size = max(1, width // reduction), max(1, height // reduction)
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        frame = np.column_stack([frame[:, :2] * [width / size[0], height / size[1]], frame[:, 2]])
    centred = frame.copy()  # OpenCV counts from the centre of the first pixel
    centred[:, 2] += frame[:, :2] @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(picture, centred, (INPUT_WIDTH, INPUT_HEIGHT), flags=cv2.INTER_LINEAR).astype(np.float32)


def out_of_frame(points: FloatArray, frame: FloatArray) -> FloatArray:
    """Points (n, 2) of the input in pixels of the picture."""
    result: FloatArray = (points - frame[:, 2]) @ np.linalg.inv(frame[:, :2]).T
    return result


def moved_heat(heat: NDArray[np.float32], frame: FloatArray, other: FloatArray) -> NDArray[np.float32]:
    """(k, rows, columns) heat maps that were seen in one frame, as they lie in another; each sums to 1 again."""
    linear = other[:, :2] @ np.linalg.inv(frame[:, :2])
    shift = (other[:, 2] - linear @ frame[:, 2]) / STRIDE + (linear - np.eye(2)) @ [0.5, 0.5]
    matrix = np.column_stack([linear, shift])
    size = heat.shape[2], heat.shape[1]
    moved = np.stack([cv2.warpAffine(single, matrix, size, flags=cv2.INTER_LINEAR) for single in heat])
    total = np.maximum(moved.sum(axis=(1, 2), keepdims=True), 1e-9)
    result: NDArray[np.float32] = (moved / total).astype(np.float32)
    return result
