"""A report of one picture: what it says, and the HTML of it, in one file with the picture inside. No Slicer, no Qt."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .drawing import Drawing, asSVG
from .measurement import Measurement, decimals
from .references import CATS, KEENE, VEZZOSI, Reference, comparison, hints

DISCLAIMER = "Not a medical device. For research only; not for diagnosis or treatment."
TITLE = "Vertebral heart score"

STYLE = """
body { font: 14px/1.45 sans-serif; color: #111; max-width: 900px; margin: 24px auto; padding: 0 16px; }
h1 { font-size: 22px; margin-bottom: 4px; } svg { width: 100%; height: auto; background: #000; }
table { border-collapse: collapse; margin: 12px 0; }
td, th { border: 1px solid #bbb; padding: 4px 10px; text-align: left; }
td.number { text-align: right; } .small { font-size: 12px; color: #444; } .warning { font-weight: bold; }
"""


@dataclass(frozen=True, eq=False)
class ReportContent:
    """What a report says.

    Attributes:
        name: of the picture; patient, breed: as entered, "" for not.
        date: when the report was made, ISO date and time.
        png: the picture with square pixels, ``width`` by ``height``.
        drawing: what is drawn on it.
        spacingKnown: whether millimetres mean anything.
    """

    name: str
    patient: str
    breed: str
    date: str
    measurement: Measurement
    reference: Reference
    png: bytes
    width: int
    height: int
    drawing: Drawing
    spacingKnown: bool

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """The table of numbers: what, by the model, with the landmarks as they are now."""
        measurement = self.measurement
        answer, score = measurement.answer, measurement.score
        rows = [
            (
                "VHS (vertebrae)",
                decimals(answer.vhs if answer else None),
                decimals(score.vhs if score else None),
            ),
            (
                "VLAS (vertebrae)",
                decimals(answer.vlas if answer else None),
                decimals(score.vlas if score else None),
            ),
            ("Long axis (vertebrae)", "", decimals(score.longAxis if score else None)),
            ("Short axis (vertebrae)", "", decimals(score.shortAxis if score else None)),
        ]
        if self.spacingKnown and score is not None:
            rows.append(("Long axis (mm)", "", decimals(score.longAxis * score.vertebra)))
            rows.append(("Short axis (mm)", "", decimals(score.shortAxis * score.vertebra)))
            rows.append(("Mean vertebra (mm)", "", decimals(score.vertebra)))
        return tuple(rows)

    @property
    def statements(self) -> tuple[str, ...]:
        """Sentences beside the numbers: result, confidence, edits, geometry, reference, hints."""
        measurement = self.measurement
        answer, score = measurement.answer, measurement.score
        lines = []
        if answer is not None:
            lines += [
                f"Model: {answer.sentence}",
                f"{answer.confidenceSentence}.",
                f"Model version {answer.modelVersion}.",
            ]
            if answer.popDetected:
                lines.append("The model measured a straightened photo of a screen; lengths in the photo itself differ.")
        else:
            lines.append("No model was asked: all landmarks were placed by a person.")
        lines.append(editSentence(measurement))
        lines.append(f"The line A–B spans {measurement.vertebrae:g} vertebrae, counted from the cranial edge of T4.")
        if score is not None and score.implausibility is not None:
            lines.append(f"No score: {score.implausibility.value}")
        if score is not None and score.vhs is not None and not score.axesPerpendicular:
            lines.append("The axes of the heart are not at right angles.")
        vhs, vlas = (score.vhs, score.vlas) if score is not None else (None, None)
        lines.append(comparison(vhs, self.reference))
        lines += hints(vhs, vlas)
        return tuple(line for line in lines if line.strip(" ."))

    @property
    def sources(self) -> tuple[str, ...]:
        """What the statements cite."""
        cited = (self.reference.source, self.reference.noteSource, KEENE, VEZZOSI)
        return tuple(source for source in cited if source)


def editSentence(measurement: Measurement) -> str:
    """Which landmarks a person moved, in words."""
    if measurement.points is None:
        return "There are no landmarks."
    if not measurement.moved:
        return "No landmark was moved: these are the model's." if measurement.answer else "No landmark was placed yet."
    names = ", ".join(measurement.moved)
    if measurement.answer is None or measurement.answer.points is None:
        return f"Placed by hand: {names}."
    return f"Moved by hand ({len(measurement.moved)} of 7): {names}."


def asHTML(content: ReportContent) -> str:
    """The report as one HTML file that needs no other and no network."""
    picture = "data:image/png;base64," + base64.b64encode(content.png).decode("ascii")
    svg = asSVG(content.drawing, content.width, content.height, picture)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{TITLE}: {escape(content.name)}</title>'
        f"<style>{STYLE}</style></head><body>\n{head(content)}\n{svg}\n{body(content)}\n</body></html>\n"
    )


def head(content: ReportContent) -> str:
    """Title, and which picture of whom this is."""
    facts = [("Picture", content.name), ("Patient", content.patient), ("Breed", content.breed), ("Date", content.date)]
    if content.measurement.answer is not None:
        facts.append(("Measured", content.measurement.answer.analysedAt))
    listed = " · ".join(f"{name}: {escape(value)}" for name, value in facts if value)
    return f'<h1>{TITLE}</h1><p>{listed}</p><p class="warning">{DISCLAIMER}</p>'


def body(content: ReportContent) -> str:
    """Numbers and words."""
    edited = "With landmarks as moved" if content.measurement.isEdited else "Landmarks as drawn"
    rows = "".join(
        f'<tr><th>{escape(what)}</th><td class="number">{escape(model)}</td><td class="number">{escape(now)}</td></tr>'
        for what, model, now in content.rows
    )
    lines = "".join(f"<li>{escape(line)}</li>" for line in content.statements)
    sources = "".join(f"<li>{escape(source)}</li>" for source in content.sources)
    return (
        '<table border="1" cellspacing="0" cellpadding="4">'
        f"<tr><th></th><th>Model</th><th>{edited}</th></tr>{rows}</table><ul>{lines}</ul>"
        f'<p class="small">{escape(CATS)}</p><p class="small">Sources:</p><ul class="small">{sources}</ul>'
    )


def writeHTML(content: ReportContent, path: str | Path) -> None:
    """Raises OSError when it cannot be written."""
    Path(path).write_text(asHTML(content), encoding="utf-8")
