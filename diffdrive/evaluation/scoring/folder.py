"""The folder of a job: a part for each finished chunk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring.chunks import Chunk
from diffdrive.evaluation.scoring.columns import column_types, from_columns, to_columns
from diffdrive.evaluation.scoring.job import ScoringJob
from diffdrive.evaluation.scoring.rows import SceneScore
from diffdrive.files import written_aside

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

_log = logging.getLogger(__name__)
PER_SCENE_NAME = "per_scene.parquet"
SUMMARY_NAME = "summary.json"
_JOB_NAME = "job.json"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Where the results of one job lie. Every file appears whole or not at all."""

    path: Path
    fingerprint: str

    @classmethod
    def open(cls, path: Path, job: ScoringJob) -> JobFolder:
        """The folder, made if it is not there. Raises ``InputError`` where it holds another job, saying what differs."""
        if importlib.util.find_spec("pyarrow") is None:
            raise InputError("Results are kept as Parquet, which needs pyarrow. Get it with: pip install 'diffdrive[data]'")
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise InputError(f"Results go into a folder, but '{path}' is a file.")
        description = job.description()
        file = path / _JOB_NAME
        if file.is_file():
            _check_same(path, _read(file), description)
        else:
            with written_aside(file) as aside:
                aside.write_text(json.dumps(description, indent=2) + "\n")
        text = json.dumps(description, sort_keys=True)
        return cls(path, hashlib.sha256(text.encode()).hexdigest()[:16])

    def keep(self, chunk: Chunk, rows: Sequence[SceneScore]) -> None:
        """Write the part of a finished chunk."""
        _write(self._part(chunk), rows, self.fingerprint)

    def kept(self, chunk: Chunk) -> tuple[SceneScore, ...] | None:
        """The rows of a chunk that was finished before, or None. A part that cannot be read is made again."""
        import pyarrow as pa
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        path = self._part(chunk)
        if not path.is_file():
            return None
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            _log.warning("Scoring a chunk again, its part '%s' is damaged: %s", path, error)
            return None
        if (table.schema.metadata or {}).get(b"fingerprint") != self.fingerprint.encode():
            _log.warning("Scoring a chunk again, its part '%s' is another job's.", path)
            return None
        return from_columns(table.to_pylist())

    def finish(self, rows: Sequence[SceneScore], summary: Mapping[str, Any]) -> None:
        """Write the table of every scene and the summary."""
        _write(self.path / PER_SCENE_NAME, rows, self.fingerprint)
        with written_aside(self.path / SUMMARY_NAME) as aside:
            aside.write_text(json.dumps(summary, indent=2) + "\n")

    def _part(self, chunk: Chunk) -> Path:
        return self.path / "parts" / f"{chunk.index:06d}.parquet"


def read_scene_scores(path: Path) -> tuple[SceneScore, ...]:
    """The rows of a ``per_scene.parquet``. Raises ``InputError`` for a file that is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return from_columns(pq.read_table(path).to_pylist())
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"'{path}' is no table of scored scenes: {error!r}. Give a {PER_SCENE_NAME}.") from error


def _write(path: Path, rows: Sequence[SceneScore], fingerprint: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with written_aside(path) as aside:
        pq.write_table(pa.table(to_columns(rows), schema=_schema(pa, fingerprint)), aside)


def _schema(arrow: Any, fingerprint: str) -> pa.Schema:
    fields: Iterable[Any] = (arrow.field(name, arrow.type_for_alias(kind)) for name, kind in column_types().items())
    return arrow.schema(list(fields), metadata={"fingerprint": fingerprint})


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"'{file}' cannot be read: {error}. Choose another folder.") from error
    return found if isinstance(found, dict) else {}


def _check_same(path: Path, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differing = [name for name in {**there, **wanted} if there.get(name) != wanted.get(name)]
    if differing:
        changes = "; ".join(f"{name}: there {_short(there.get(name))}, now {_short(wanted.get(name))}" for name in differing)
        raise InputError(f"'{path}' holds the results of another job. It differs in {changes}. Choose another folder.")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 160 else f"{text[:157]}..."
