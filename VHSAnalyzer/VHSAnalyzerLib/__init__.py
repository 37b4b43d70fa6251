"""Vertebral heart score in Slicer: plain Python (numpy, requests) except where a file says MRML or Qt is its job.

Coordinates of landmarks are those of the RadAnalyzer V3 contract: ``(x, y)`` as fractions of the picture's width and
height, x to the right, y down, the outer corner of the first pixel at (0, 0). ``volume_picture`` converts them to RAS.
"""
