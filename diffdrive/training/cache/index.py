"""What a finished cache says of itself, in ``index.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.files import written_aside
from diffdrive.tensors import InputLayout, TargetLayout
from diffdrive.training.cache.spec import CacheSpec

INDEX = "index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageError:
    """What storing changed in the pictures, in grey levels; zeros without loss."""

    max: int = 0
    mean: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheIndex:
    """Read and written as JSON."""

    spec: CacheSpec
    """As it was asked for, unreadable scenes included."""

    skipped: dict[str, str]
    """Scenes that could not be read, and why. They have no row."""

    locations: tuple[str, ...]
    """One for each row."""

    log_names: tuple[str, ...]
    """One for each row."""

    shard_bytes: tuple[int, ...]
    """Size of each file of samples."""

    image_error: ImageError

    @property
    def rows(self) -> CacheSpec:
        """The scenes that are there."""
        if not self.skipped:
            return self.spec
        return replace(self.spec, tokens=tuple(token for token in self.spec.tokens if token not in self.skipped))

    def write(self, folder: Path) -> None:
        """Into ``folder``."""
        spec = self.spec
        values = {
            "key": spec.key,
            "inputs": to_mapping(spec.inputs),
            "targets": to_mapping(spec.targets),
            "source": spec.source,
            "image_quality": spec.image_quality,
            "image_error_grey_levels": to_mapping(self.image_error),
            "bytes": sum(self.shard_bytes),
            "bytes_per_scene": round(sum(self.shard_bytes) / max(len(self.locations), 1)),
            "skipped": self.skipped,
            "shard_bytes": self.shard_bytes,
            "tokens": spec.tokens,
            "locations": self.locations,
            "log_names": self.log_names,
        }
        with written_aside(folder / INDEX) as aside:
            aside.write_text(json.dumps(values))

    @classmethod
    def read(cls, folder: Path) -> CacheIndex:
        """Raises ``InputError`` for a folder that is not a complete cache of this version."""
        values = _values(folder)
        try:
            index = cls._from(values)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"Feature cache index '{folder / INDEX}' is incomplete ({type(error).__name__}: {error}). "
                "Delete the folder and build again."
            ) from error
        if values.get("key") != index.spec.key:
            raise InputError(
                f"Feature cache '{folder}' was written by another version of the features (its key is "
                f"{str(values.get('key'))[:12]}, now {index.spec.key[:12]}). Delete the folder; training builds it again."
            )
        num_rows = len(index.rows.tokens)
        for what, names in (("locations", index.locations), ("log names", index.log_names)):
            if len(names) != num_rows:
                raise InputError(
                    f"Feature cache '{folder}' holds {len(names)} {what} for {num_rows} scenes. "
                    "Delete the folder; training builds it again."
                )
        return index

    @classmethod
    def _from(cls, values: dict[str, Any]) -> CacheIndex:
        spec = CacheSpec(
            inputs=build(InputLayout, values["inputs"]),
            targets=build(TargetLayout, values["targets"]),
            source=values["source"],
            tokens=tuple(values["tokens"]),
            image_quality=values["image_quality"],
        )
        return cls(
            spec=spec,
            skipped=dict(values["skipped"]),
            locations=tuple(values["locations"]),
            log_names=tuple(values["log_names"]),
            shard_bytes=tuple(values["shard_bytes"]),
            image_error=build(ImageError, values["image_error_grey_levels"]),
        )


def _values(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    if not path.is_file():
        raise InputError(f"'{folder}' is not a feature cache: it has no {INDEX}. Build it with: diffdrive train --cache-only")
    try:
        values = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"Feature cache index '{path}' cannot be read ({error}). Delete the folder and build again."
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"Feature cache index '{path}' is not a mapping. Delete the folder and build again.")
    return values
