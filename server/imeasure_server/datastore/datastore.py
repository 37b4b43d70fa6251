"""`Datastore`: one studies folder. Everything in it blocks: call it with ``asyncio.to_thread``."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imeasure_server.datastore.errors import BadItem, NotWritable, UnknownItem
from imeasure_server.datastore.index_file import NOT_WRITABLE, IndexFile, entry, placing
from imeasure_server.datastore.labels import checked_label, extension_of, labels_by_tag, modified, read_raw_label
from imeasure_server.datastore.names import (
    FINAL,
    IMAGE_EXTENSIONS,
    LABEL_EXTENSIONS,
    checked_id,
    checked_tag,
    file_stem,
    split_name,
)
from imeasure_server.datastore.scanning import LABELS_FOLDER, Scanner, StudyImage
from imeasure_server.imaging.image_error import ImageError
from imeasure_server.imaging.label_files import encode_label
from imeasure_server.imaging.nifti import NiftiError, write_nifti
from imeasure_server.imaging.volume import Geometry

if TYPE_CHECKING:
    from imeasure_server.imaging.image_cache import ImageCache
    from imeasure_server.imaging.stored_image import StoredImage

Info = dict[str, Any]


@dataclass(frozen=True)
class ListedImage:
    """An image and what is known of it.

    Attributes:
        image: the image.
        info: has ``ts`` (seconds since 1970) and ``name`` (of the file), and whatever clients said.
        labels: path of each label's file by its tag.
        label_infos: what is known of each label, by its tag.
    """

    image: StudyImage
    info: Info
    labels: Mapping[str, Path] = field(default_factory=dict)
    label_infos: Mapping[str, Info] = field(default_factory=dict)

    @property
    def is_completed(self) -> bool:
        """Whether somebody submitted a label for it."""
        return FINAL in self.labels


class Datastore:
    """Images and labels of one folder, as MONAI Label's local datastore keeps them."""

    def __init__(self, folder: Path, images: ImageCache) -> None:
        """Args:
        folder: of the studies; need not exist.
        images: decodes them.
        """
        self.folder = folder
        self._images = images
        self._scanner = Scanner(folder)
        self._index = IndexFile(folder)
        self._uploaded: dict[Path, tuple[int, int, str]] = {}  # size, mtime and SHA-256 of what came by HTTP

    # What there is

    def list(self) -> dict[str, ListedImage]:
        """Every image by its id."""
        tags = labels_by_tag(self.folder / LABELS_FOLDER)
        return {image_id: self._listed(image, tags) for image_id, image in self._scanner.images().items()}

    def find(self, image_id: str) -> ListedImage:
        """Raises:
        UnknownItem: there is no such image.
        """
        return self._listed(self._image(image_id), labels_by_tag(self.folder / LABELS_FOLDER))

    def status(self) -> dict[str, Any]:
        """How many images there are, how many have a final label, and how many labels there are of each tag."""
        listed = self.list().values()
        tags: dict[str, int] = {}
        for image in listed:
            for tag in image.labels:
                tags[tag] = tags.get(tag, 0) + 1
        completed = sum(image.is_completed for image in listed)
        return {"total": len(listed), "completed": completed, "label_tags": tags}

    def json(self) -> dict[str, Any]:
        """All of it, in the form of MONAI Label's ``datastore_v2.json``."""
        objects = {
            image_id: {
                "image": {"ext": item.image.extension, "info": item.info},
                "labels": {
                    tag: {"ext": extension_of(path), "info": item.label_infos[tag]} for tag, path in item.labels.items()
                },
            }
            for image_id, item in self.list().items()
        }
        head = {"name": self._index.name, "description": self._index.description}
        return {**head, "images_dir": ".", "labels_dir": LABELS_FOLDER, "objects": objects}

    # Images

    def load(self, image_id: str) -> StoredImage:
        """The decoded image.

        Raises:
            UnknownItem: there is no such image.
            ImageError: it cannot be read; a sentence.
        """
        image = self._image(image_id)
        digest = self._digest(image)
        found = self._images.find(digest)
        if found is not None:
            return found
        if image.is_series:
            return self._images.decode_files(image.files, digest)
        return self._images.decode(image.files[0], image.files[0].name, digest)

    def image_file(self, image_id: str, folder: Path) -> Path:
        """The file that a client gets: the image itself, or one made of it in ``folder``.

        Raises:
            UnknownItem, ImageError: as `load`.
        """
        image = self._image(image_id)
        if not image.is_converted:
            return image.files[0]
        volume = self.load(image_id).volume.open()
        path = folder / image.filename
        try:
            write_nifti(path, volume.array, volume.geometry)
        except NiftiError as error:
            raise ImageError(str(error)) from error
        return path

    def add_image(self, source: Path, name: str, digest: str, image_id: str | None, info: Mapping[str, Any]) -> str:
        """Take a file into the folder.

        Args:
            source: the file; it is moved.
            name: as the client called it; its extension tells the format.
            digest: SHA-256 of its bytes.
            image_id: the wanted id; None for the stem of ``name``.
            info: what the client says of it.

        Returns:
            The id.

        Raises:
            BadItem: the name is none, or no image's.
            ImageError: it is no image; a sentence.
            NotWritable: nothing can be put into the folder.
        """
        parts = split_name(name, IMAGE_EXTENSIONS)
        if parts is None:
            raise BadItem(f"Images of these kinds can be uploaded: {', '.join(IMAGE_EXTENSIONS)}.")
        made, extension = checked_id(image_id or parts[0]), parts[1].lower()
        self._check_writable()
        self._images.decode(source, name, digest)
        with self._index.changing() as objects:
            target = self.folder / f"{file_stem(made)}{extension}"
            with placing(target) as partial:
                shutil.move(source, partial)
            self._remove_others(made, target)
            self._uploaded[target] = (*_stamp(target), digest)
            image = self._scanner.find(made)
            shown = target.name if image is None else image.filename
            found = entry(objects, made if image is None else image.id)
            found["image"] = {"ext": extension, "info": {**info, "ts": int(time.time()), "name": shown}}
        return made

    def _remove_others(self, image_id: str, kept: Path) -> None:
        """One id, one file: an image that is uploaded again in another format replaces the old one."""
        for extension in IMAGE_EXTENSIONS:
            other = self.folder / f"{file_stem(image_id)}{extension}"
            if other != kept:
                other.unlink(missing_ok=True)

    def remove_image(self, image_id: str) -> None:
        """Delete an image and its labels.

        Raises:
            UnknownItem: there is no such image.
            NotWritable: nothing can be deleted.
        """
        found = self.find(image_id)
        with self._index.changing() as objects:
            _delete(*found.labels.values(), *found.image.files)
            objects.pop(found.image.id, None)

    def update_image_info(self, image_id: str, info: Mapping[str, Any]) -> None:
        """Add to what is known of an image.

        Raises:
            UnknownItem: there is no such image.
            NotWritable: it cannot be saved, but is known until the server ends.
        """
        found = self.find(image_id)
        with self._index.changing() as objects:
            known = entry(objects, found.image.id)
            known["image"] = {"ext": found.image.extension, "info": {**found.info, **info}}

    # Labels

    def save_label(self, image_id: str, source: Path, name: str, tag: str, info: Mapping[str, Any]) -> str:
        """Take a label into the folder; an older one of the same tag is replaced in one step.

        Args:
            image_id: of the image that it is for.
            source: its file; it stays where it is.
            name: as the client called it; its extension tells the format. ``.bin`` is one byte a voxel, x fastest.
            tag: ``final``, ``original`` or another.
            info: what the client says of it.

        Returns:
            The label's id, which is the image's.

        Raises:
            UnknownItem: there is no such image.
            BadItem: the tag or the kind of file is none that can be kept, or the file is damaged.
            NotWritable: nothing can be put into the folder.
        """
        image, tag = self._image(image_id), checked_tag(tag)
        self._check_writable()
        content, extension = self._label_content(image_id, source, name)
        with self._index.changing() as objects:
            target = self.folder / LABELS_FOLDER / tag / f"{file_stem(checked_id(image.id))}{extension}"
            with placing(target) as partial:
                partial.write_bytes(content)
            for other in LABEL_EXTENSIONS:
                if other != extension:
                    target.with_name(f"{file_stem(image.id)}{other}").unlink(missing_ok=True)
            known = entry(objects, image.id)
            known["image"]["ext"] = image.extension
            known["labels"][tag] = {"ext": extension, "info": {**info, "ts": int(time.time()), "name": target.name}}
        return image.id

    def _label_content(self, image_id: str, source: Path, name: str) -> tuple[bytes, str]:
        """What to keep, and the extension of its file."""
        if name.lower().endswith(".bin"):
            volume = self.load(image_id).volume
            geometry = Geometry(volume.affine, volume.shape)
            return encode_label(read_raw_label(source, geometry.shape), geometry, ".nii.gz"), ".nii.gz"
        return checked_label(source, name)

    def label_file(self, label_id: str, tag: str) -> Path:
        """Raises:
        UnknownItem: there is no such label.
        """
        return self._found_label(label_id, tag).labels[tag]

    def remove_label(self, label_id: str, tag: str) -> None:
        """Raises:
        UnknownItem: there is no such label.
        NotWritable: it cannot be deleted.
        """
        found = self._found_label(label_id, tag)
        with self._index.changing() as objects:
            _delete(found.labels[tag])
            entry(objects, found.image.id)["labels"].pop(tag, None)

    def update_label_info(self, label_id: str, tag: str, info: Mapping[str, Any]) -> None:
        """Raises:
        UnknownItem: there is no such label.
        NotWritable: it cannot be saved.
        """
        found = self._found_label(label_id, tag)
        with self._index.changing() as objects:
            known = entry(objects, found.image.id)["labels"]
            known[tag] = {"ext": extension_of(found.labels[tag]), "info": {**found.label_infos[tag], **info}}

    # Inside

    def _image(self, image_id: str) -> StudyImage:
        image = self._scanner.find(image_id)
        if image is None:
            raise UnknownItem(f"There is no image {image_id[:200]} in the studies of this server.")
        return image

    def _found_label(self, label_id: str, tag: str) -> ListedImage:
        found = self.find(label_id)
        if tag not in found.labels:
            raise UnknownItem(f"There is no label {tag[:64]} of {label_id[:200]}.")
        return found

    def _listed(self, image: StudyImage, tags: Mapping[str, Mapping[str, Path]]) -> ListedImage:
        labels = {tag: files[image.id] for tag, files in tags.items() if image.id in files}
        info = {"ts": image.modified, "name": image.filename, **self._index.image_info(image.id)}
        label_infos = {}
        for tag, path in labels.items():
            known = self._index.label_info(image.id, tag)
            label_infos[tag] = {"ts": modified(path), "name": path.name, **known}
        return ListedImage(image, info, labels, label_infos)

    def _digest(self, image: StudyImage) -> str:
        """Changes whenever the image's files do; that of the bytes where they are known."""
        uploaded = self._uploaded.get(image.files[0])
        if uploaded is not None and not image.is_series and _stamp(image.files[0]) == uploaded[:2]:
            return uploaded[2]
        digest = hashlib.sha256(b"studies")
        for file in image.files:
            size, changed = _stamp(file)
            digest.update(f"\0{file.relative_to(self.folder)}\0{size}\0{changed}".encode())
        return digest.hexdigest()

    def _check_writable(self) -> None:
        """Raises:
        NotWritable: nothing can be put into the folder.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritable(NOT_WRITABLE) from error
        if not os.access(self.folder, os.W_OK):
            raise NotWritable(NOT_WRITABLE)


def _stamp(file: Path) -> tuple[int, int]:
    """Size and time of the last change (ns).

    Raises:
        UnknownItem: the file is gone.
    """
    try:
        stat = file.stat()
    except OSError:
        raise UnknownItem("The image has just been deleted.") from None
    return stat.st_size, stat.st_mtime_ns


def _delete(*paths: Path) -> None:
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritable(NOT_WRITABLE) from error
