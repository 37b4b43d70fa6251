"""A reference client of ``POST /seg``, written from the contract alone, for tests and benches."""

from contract.client import Answer, form, post, send
from contract.metadata import example_metadata, scan_metadata
from contract.scan import Scan, ellipsoid_scan

__all__ = ["Answer", "Scan", "ellipsoid_scan", "example_metadata", "form", "post", "scan_metadata", "send"]
