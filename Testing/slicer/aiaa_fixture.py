"""A small server of the recorded protocols, for what a real one does not do on demand: lose sessions, fail, wait."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from AIAAClientLib.multipart import FilePart, MultipartForm, parseMultipart
from AIAAClientLib.nifti import decodeNifti, encodeNifti

AIAA_MODELS = [
    {
        "name": "organs",
        "type": "segmentation",
        "description": "Two organs.",
        "labels": ["spleen", "liver"],
        "version": "1",
    },
    {"name": "dextr", "type": "annotation", "description": "By extreme points.", "labels": ["object"], "padding": 20},
    {"name": "grow2d", "type": "deepgrow", "description": "By clicks.", "labels": [], "deepgrow": "2d"},
    {"name": "findings", "type": "classification", "description": "Tells what is there.", "labels": ["a", "b"]},
]
MONAI_INFO = {
    "name": "MONAILabel - Radiology (0.8.5)",
    "labels": ["spleen"],
    "models": {
        "spleen": {"type": "segmentation", "labels": {"spleen": 1}, "dimension": 3, "description": "Spleen."},
        "edit": {"type": "deepedit", "labels": {"background": 0, "spleen": 2}, "dimension": 3, "description": ""},
        "edit_organs": {"type": "deepedit", "labels": {"spleen": 1, "liver": 6, "background": 0}, "dimension": 3},
        "sam": {"type": "segmentation", "labels": ["object"], "interactive": True, "description": "All prompts."},
        "Histogram+GraphCut": {"type": "scribbles", "labels": {}, "dimension": 3, "description": "Scribbles."},
    },
    "config": {},
}


class RecordedServer:
    """Answers as a test says. Its mask is 1 where the image is above its mean, on the image's grid.

    Attributes:
        protocols: "AIAA", "MONAI Label".
        sessions: id → the image's file; a test empties it to let them expire.
        asked: (path, query, params, names of the files) of each question.
        uploads: number of images that came, with a question or for a session.
        failing: (status, JSON body) that questions get instead of an answer.
        result: JSON beside the mask; ``withMask`` False: instead of it.
    """

    def __init__(self, odd_server, *protocols):
        self.protocols = set(protocols)
        self.address = odd_server.address
        self.sessions, self.asked, self.uploads, self.deleted = {}, [], 0, []
        self.failing, self.result, self.withMask, self.keepsSessions, self.key = None, {}, True, True, ""
        self.http = odd_server
        self.hold = None
        odd_server.answer = self.answer

    def answer(self, handler):
        path, query = unquote(urlsplit(handler.path).path), parse_qs(urlsplit(handler.path).query)
        if self.key and handler.headers.get("x-api-key") != self.key:
            return self.say(handler, 401, {"detail": "An API key is needed."})
        if path == "/v1/models" and "AIAA" in self.protocols:
            return self.say(handler, 200, AIAA_MODELS)
        if path == "/info/" and "MONAI Label" in self.protocols:
            return self.say(handler, 200, MONAI_INFO)
        if path.startswith("/session/") and self.keepsSessions:
            return self.session(handler, path)
        if path.startswith("/v1/") and "AIAA" in self.protocols:
            return self.question(handler, path, query, 440)
        if path.startswith("/infer/") and "MONAI Label" in self.protocols:
            return self.question(handler, path, query, 404)
        return self.say(handler, 404, {"detail": "Not Found"})

    def say(self, handler, status, value):
        handler.say(status, json.dumps(value).encode())

    def parts(self, handler):
        body = self.http.requests[-1][3]
        return {part.name: part for part in parseMultipart(body, handler.headers["Content-Type"])}

    def session(self, handler, path):
        if handler.command == "PUT":
            parts = self.parts(handler)
            self.uploads += 1
            name = f"session-{self.uploads}"
            self.sessions[name] = (parts.get("image") or parts["files"]).content
            return self.say(handler, 200, {"session_id": name})
        name = path.split("/")[2]
        if handler.command == "DELETE":
            self.deleted.append(name)
            self.sessions.pop(name, None)
            return self.say(handler, 200, {})
        return self.say(handler, 200 if name in self.sessions else 404, {"detail": "Session Not Found"})

    def question(self, handler, path, query, gone):
        parts = self.parts(handler)
        params = json.loads(parts["params"].content)
        files = sorted(name for name, part in parts.items() if part.filename)
        self.asked.append((path, {name: values[0] for name, values in query.items()}, params, files))
        if self.hold is not None:
            self.hold.wait(20)
        if self.failing is not None:
            return self.say(handler, *self.failing)
        image = parts.get("image") or parts.get("file")
        content = image.content if image is not None else self.sessions.get(query.get("session_id", [""])[0])
        if content is None:
            return self.say(handler, gone, {"detail": "Session expired"})
        self.uploads += image is not None
        if not self.withMask:
            return self.say(handler, 200, self.result)
        return self.mask(handler, content)

    def mask(self, handler, content):
        array, affine = decodeNifti(content)
        mask = (array > array.mean()).astype(np.uint8)
        form = MultipartForm(
            {"params": json.dumps(self.result)},
            (FilePart("image", "mask.nii.gz", encodeNifti(mask.transpose(), affine, True)),),
        )
        return handler.say(200, b"".join(form), form.headers["Content-Type"])
