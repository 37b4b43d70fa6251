"""The studies folder that MONAI Label's ``image=`` names: images, their labels, and what is known of both.

The layout is that of MONAI Label's local datastore, so that either server can take over the other's folder: images in
the folder itself (DICOM series in sub-folders as well), labels in ``labels/TAG/``, and ``datastore_v2.json``.
"""

from imeasure_server.datastore.datastore import Datastore, ListedImage
from imeasure_server.datastore.errors import BadItem, DatastoreError, NotWritable, UnknownItem
from imeasure_server.datastore.strategies import STRATEGIES, Sample, next_sample

__all__ = [
    "STRATEGIES",
    "BadItem",
    "Datastore",
    "DatastoreError",
    "ListedImage",
    "NotWritable",
    "Sample",
    "UnknownItem",
    "next_sample",
]
