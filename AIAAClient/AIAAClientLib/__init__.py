"""Segmentation on any AIAA or MONAI Label server: plain Python (numpy, requests) except where a file says MRML or Qt.

Coordinates: people and effects give world RAS mm. ``task`` turns them into voxel indices (i, j, k) of the volume, which
are those of the NIfTI file that is sent. A mask on the volume's grid is an array (k, j, i), as Slicer has it; arrays of
files are (i, j, k).
"""
