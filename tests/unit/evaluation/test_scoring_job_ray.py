"""The same job on a Ray of this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from scoring_job_helpers import DiesOnce, content, job

from diffdrive.evaluation.scoring import Entrant, RayExecutor, score_planners

pytest.importorskip("py123d")
ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_ray_gives_the_same_bits_and_survives_a_dead_actor(tmp_path: Path) -> None:
    serial = score_planners(job(tmp_path / "prepared", metrics=("epdms",)))
    cluster = score_planners(job(tmp_path / "prepared", metrics=("epdms",)), executor=RayExecutor(workers=2))
    assert content(cluster.rows) == content(serial.rows)
    assert not ray.is_initialized()
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    mortal = (Entrant(name="mortal", make=partial(DiesOnce, deaths)),)
    told: list[str] = []
    scored = score_planners(
        job(tmp_path / "prepared", entrants=mortal, metrics=("epdms",), num_scenes=2),
        executor=RayExecutor(workers=1),
        on_progress=lambda progress: told.append(progress.lost),
    )
    assert scored.failures == ()
    assert next(text for text in told if text).startswith("the worker failed: ")
