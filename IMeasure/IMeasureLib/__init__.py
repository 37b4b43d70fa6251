"""What the three Slicer modules share: plain Python (numpy, requests) except where a file says MRML or Qt is its job.

Coordinates: prompts and measurements are RAS millimetres in the *volume's own space*, before its parent transform
("local RAS"). World RAS is seen only in views and in the console API; ``volume_access`` converts between the two.
Voxel arrays are ``(k, j, i)`` as in ``slicer.util.arrayFromVolume``; voxel indices are ``(i, j, k)``.
"""
