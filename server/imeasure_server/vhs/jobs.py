"""What the service asks of a worker process about pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imeasure_server.vhs.landmarks import FloatArray, in_pixels
from imeasure_server.vhs.results import Confidence, ImageResult

if TYPE_CHECKING:
    from imeasure_server.models.worker import WorkerContext


@dataclass(eq=False)
class AnalysisOutcome:
    """`result`, and the seconds by stage: ``decode``, ``screen``, ``classify``, ``landmarks``, ``render``."""

    result: ImageResult
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class AnalyseImage:
    """Measure the heart in one picture.

    Attributes:
        content: the bytes of a JPEG or PNG file, checked by `imaging.pictures.inspect_picture` before.
        render: whether the annotated picture is wanted.
        want_rectified: whether the rectified screen is wanted as a JPEG.
    """

    content: bytes
    render: bool = False
    want_rectified: bool = False

    def run(self, context: WorkerContext) -> AnalysisOutcome:
        """Raises:
        PictureError: the bytes cannot be decoded.
        """
        from imeasure_server.vhs.analysis import analyser_of

        timings: dict[str, float] = {}
        result = analyser_of(context).analyse(self, lambda name: context.stage(name, timings))
        return AnalysisOutcome(result, timings)


@dataclass(eq=False)
class CornersOutcome:
    """Corners of a screen.

    Attributes:
        corners: (4, 2) in pixels of the picture, order TL, TR, BR, BL; None when there is no screen.
        width, height: of the picture after its EXIF orientation, in pixels.
    """

    corners: FloatArray | None
    width: int
    height: int
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FindCorners:
    """Find the corners of a screen in a photograph; ``content`` as in `AnalyseImage`."""

    content: bytes

    def run(self, context: WorkerContext) -> CornersOutcome:
        """Raises:
        PictureError: the bytes cannot be decoded.
        """
        from imeasure_server.imaging.pictures import read_picture
        from imeasure_server.vhs.analysis import screen_finder_of

        timings: dict[str, float] = {}
        with context.stage("decode", timings):
            picture = read_picture(self.content)
        with context.stage("screen", timings):
            corners = screen_finder_of(context).find(picture)
        return CornersOutcome(corners, picture.shape[1], picture.shape[0], timings)


@dataclass(eq=False)
class RectifyOutcome:
    """The flat screen as a JPEG; None when the four corners are no convex quadrilateral that can be one."""

    jpeg: bytes | None
    width: int
    height: int
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Rectify:
    """Correct the perspective of a photograph; ``corners`` (4, 2) in pixels, TL, TR, BR, BL."""

    content: bytes
    corners: FloatArray

    def run(self, context: WorkerContext) -> RectifyOutcome:
        """Raises:
        PictureError: the bytes cannot be decoded.
        """
        from imeasure_server.imaging.pictures import read_picture, write_jpeg
        from imeasure_server.vhs.screen.rectification import NotAScreen, rectify

        timings: dict[str, float] = {}
        with context.stage("decode", timings):
            picture = read_picture(self.content)
        try:
            with context.stage("rectify", timings):
                flat = rectify(picture, self.corners).picture
        except NotAScreen:
            return RectifyOutcome(None, 0, 0, timings)
        return RectifyOutcome(write_jpeg(flat), flat.shape[1], flat.shape[0], timings)


@dataclass(eq=False)
class DrawOutcome:
    """The annotated picture as a PNG."""

    png: bytes
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class DrawLandmarks:
    """Draw landmarks and scores on a picture that was measured before.

    Attributes:
        content: the bytes of a JPEG or PNG file.
        landmarks: (7, 2) normalised to it.
        confidence: in words on the picture.
    """

    content: bytes
    landmarks: FloatArray
    confidence: Confidence

    def run(self, context: WorkerContext) -> DrawOutcome:
        """Raises:
        PictureError: the bytes cannot be decoded.
        """
        from imeasure_server.imaging.pictures import read_picture, write_png
        from imeasure_server.vhs.rendering import render
        from imeasure_server.vhs.score import score_landmarks

        timings: dict[str, float] = {}
        with context.stage("decode", timings):
            picture = read_picture(self.content)
        with context.stage("render", timings):
            height, width = picture.shape[:2]
            points = in_pixels(self.landmarks, width, height)
            drawn = render(picture, points, score_landmarks(points, (width, height)), self.confidence)
            return DrawOutcome(write_png(drawn), timings)
