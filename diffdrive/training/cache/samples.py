"""One scene as four strings of bytes: the files of its picture, and a record of everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from diffdrive.scene import Scene
from diffdrive.training.cache import images
from diffdrive.training.cache.packed import PackedBatch, pack
from diffdrive.training.cache.spec import CacheSpec

Blobs = tuple[bytes, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One scene, ready to be written."""

    picture: images.StoredPicture
    record: np.ndarray
    """Scalar of type ``CacheSpec.record``."""

    location: str
    log_name: str

    @property
    def blobs(self) -> Blobs:
        """What is written."""
        return (*self.picture.files, self.record.tobytes())


def sample_of(scene: Scene, spec: CacheSpec) -> Sample:
    """Compute the features of ``scene``. Raises ``InputError`` for a scene without what training needs."""
    packed = pack(scene, spec.inputs, spec.targets)
    record = np.zeros((), spec.record)
    for name in spec.record.names or ():
        record[name] = getattr(packed, name)[0].numpy()
    picture = np.ascontiguousarray(packed.camera[0].numpy())
    stored = images.store(picture, scene.observation.cameras, spec.inputs, spec.image_quality)
    return Sample(picture=stored, record=record, location=scene.location, log_name=scene.log_name)


def batch_of(samples: Sequence[Blobs], spec: CacheSpec) -> PackedBatch:
    """Undo ``sample_of``, for several. Raises ``ValueError`` where the bytes are not those of a sample."""
    pictures = np.empty((len(samples), *spec.image_shape), np.uint8)
    records = np.empty(len(samples), spec.record)
    for row, (*files, record) in enumerate(samples):
        if len(record) != spec.record.itemsize:
            raise ValueError("it is empty" if not record else f"its record has {len(record)} bytes")
        left, front, right = files
        pictures[row] = images.read((left, front, right), spec.inputs)
        records[row] = np.frombuffer(record, spec.record)[0]
    columns = {name: torch.from_numpy(records[name].copy()) for name in spec.record.names or ()}
    return PackedBatch(camera=torch.from_numpy(pictures), **columns)
