"""What can go wrong in a studies folder. Messages are sentences for a person, without paths of this machine."""

from __future__ import annotations


class DatastoreError(Exception):
    """A request about the studies folder cannot be answered."""


class UnknownItem(DatastoreError):
    """There is no such image, label or strategy."""


class BadItem(DatastoreError):
    """A name or a file that the folder does not take."""


class NotWritable(DatastoreError):
    """The folder cannot be changed by this server."""
