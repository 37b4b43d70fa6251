"""The history of a patient as a table and a chart in Slicer's own plot view. MRML, no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import vtk

from .history import HistoryRow

KIND_ATTRIBUTE = "VHSAnalyzer.History"
LONGEST_TITLE = 24
COLUMNS = ("Days", "VHS", "VLAS")
SERIES_COLORS = {"VHS": (0.0, 0.45, 0.70), "VLAS": (0.80, 0.40, 0.0)}


def showHistory(scene: Any, rows: Sequence[HistoryRow], patient: str) -> Any:
    """Make, or make anew, the chart; returns the vtkMRMLPlotChartNode. ``rows`` must not be empty."""
    table = _node(scene, "vtkMRMLTableNode", "VHS history")
    _fill(table, rows)
    chart = _node(scene, "vtkMRMLPlotChartNode", "VHS history chart")
    chart.RemoveAllPlotSeriesNodeIDs()
    for name in COLUMNS[1:]:
        series = _node(scene, "vtkMRMLPlotSeriesNode", name)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetPlotType(series.PlotTypeScatter)
        series.SetXColumnName(COLUMNS[0])
        series.SetYColumnName(name)
        series.SetLabelColumnName("Date")
        series.SetMarkerStyle(series.MarkerStyleCircle)
        series.SetMarkerSize(9)
        series.SetLineStyle(series.LineStyleSolid)
        series.SetColor(*SERIES_COLORS[name])
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(patient if len(patient) <= LONGEST_TITLE else f"{patient[:LONGEST_TITLE]}…")
    chart.SetTitleFontSize(14)
    chart.SetXAxisRangeAuto(rows[-1].daysSinceFirst > 0)
    chart.SetXAxisRange(-1.0, 1.0)
    chart.SetXAxisTitle(f"Days since {rows[0].day}")
    chart.SetYAxisTitle("Vertebrae")
    chart.SetLegendVisibility(True)
    return chart


def _node(scene: Any, className: str, name: str) -> Any:
    """The module's own node of that class and name."""
    for index in range(scene.GetNumberOfNodesByClass(className)):
        node = scene.GetNthNodeByClass(index, className)
        if node.GetAttribute(KIND_ATTRIBUTE) == name:
            return node
    node = scene.AddNewNodeByClass(className, name)
    node.SetAttribute(KIND_ATTRIBUTE, name)
    return node


def _fill(tableNode: Any, rows: Sequence[HistoryRow]) -> None:
    """Empty cells are not-a-number, which the chart leaves out."""
    tableNode.RemoveAllColumns()
    dates = vtk.vtkStringArray()
    dates.SetName("Date")
    columns = []
    for name in COLUMNS:
        column = vtk.vtkDoubleArray()
        column.SetName(name)
        columns.append(column)
    for row in rows:
        dates.InsertNextValue(row.day)
        for column, value in zip(columns, (row.daysSinceFirst, row.vhs, row.vlas)):
            column.InsertNextValue(float("nan") if value is None else float(value))
    for column in (dates, *columns):
        tableNode.AddColumn(column)
