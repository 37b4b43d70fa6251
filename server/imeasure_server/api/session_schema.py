"""OpenAPI of ``/session``."""

from __future__ import annotations

from typing import Any

_FILE = {"type": "string", "format": "binary"}
_INFO: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string", "description": "name of the file"},
        "size": {"type": "integer"},
        "meta": {"type": "object"},
        "create_ts": {"type": "integer"},
        "last_access_ts": {"type": "integer"},
        "expiry": {"type": "integer", "description": "seconds after the last use"},
        "expires": {"type": "string", "format": "date-time"},
    },
}
_SESSION = {
    "type": "object",
    "required": ["session_id", "session_info"],
    "properties": {"session_id": {"type": "string"}, "session_info": _INFO, **_INFO["properties"]},
}
_DETAIL = {
    "application/json": {
        "schema": {"type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}}}
    }
}
_DICOM = {
    "type": "object",
    "required": ["server_address", "server_port", "ae_title"],
    "properties": {
        "server_address": {"type": "string"},
        "server_port": {"type": "integer"},
        "ae_title": {"type": "string"},
        "query_level": {"enum": ["PATIENT", "STUDY", "SERIES"]},
        "patient_id": {"type": "string"},
        "study_uid": {"type": "string"},
        "series_uid": {"type": "string"},
        "calling_ae_title": {"type": "string", "default": "IMEASURE"},
    },
}
_HTTP = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string"},
        "method": {"enum": ["GET", "POST"]},
        "params": {"type": "object"},
        "headers": {"type": "object"},
        "auth": {"type": "array", "items": {"type": "string"}},
        "data": {},
        "json": {},
    },
}

CREATE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {**_FILE, "description": "NIfTI, NRRD, DICOM or a zip of DICOM files"},
                        "files": {"type": "array", "items": _FILE, "description": "the same, as MONAI Label calls it"},
                    },
                }
            },
            "application/json": {"schema": {"type": "object", "properties": {"dicom": _DICOM, "http": _HTTP}}},
        },
    }
}
CREATED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The session", "content": {"application/json": {"schema": _SESSION}}},
    400: {"description": "What was sent is no image, or says not where one is", "content": _DETAIL},
    403: {"description": "The server does not fetch from that host", "content": _DETAIL},
    413: {"description": "The image is too large", "content": _DETAIL},
    502: {"description": "The image could not be fetched", "content": _DETAIL},
    504: {"description": "The image did not come in time", "content": _DETAIL},
}
FOUND: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The session, or its image",
        "content": {"application/json": {"schema": _SESSION}, "application/octet-stream": {"schema": _FILE}},
    },
    404: {"description": "There is no such session, or no more", "content": _DETAIL},
}
