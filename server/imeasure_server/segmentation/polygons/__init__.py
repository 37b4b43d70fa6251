"""Outlines of masks as polygons, masks of polygons, and polygons that follow a vertex that somebody moved."""
