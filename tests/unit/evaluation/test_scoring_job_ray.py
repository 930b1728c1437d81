"""The same job on a Ray of this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from scoring_job_helpers import SIMPLE, DiesOnce, content, job

from diffdrive.contracts import InputError
from diffdrive.evaluation.scoring import Entrant, RayExecutor, score_planners
from diffdrive.evaluation.scoring.executors.ray_cluster import reason_of

pytest.importorskip("py123d")
ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_ray_gives_the_same_bits_though_an_actor_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ray's workers look for modules where PYTHONPATH says, and this folder is on no other path of theirs.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    asked = job(tmp_path / "prepared", entrants=(*SIMPLE, Entrant(name="mortal", make=partial(DiesOnce, deaths))), num_scenes=2)
    told: list[str] = []
    try:
        cluster = score_planners(
            asked, executor=RayExecutor(workers=1), on_progress=lambda progress: told.append(progress.lost)
        )
    except InputError as error:
        if "does not start" not in str(error):
            raise
        # Ray gives its own services 30 s, which a busy machine may not have.
        pytest.skip(str(error))
    assert cluster.failures == () and not ray.is_initialized()
    (lost,) = [text for text in told if text]
    assert lost.startswith("the worker failed: ActorDiedError")
    assert content(score_planners(asked).rows) == content(cluster.rows), "it has died, so here it lives"


def test_the_reason_is_what_was_raised_on_the_other_machine() -> None:
    error = RuntimeError("The actor died.\n  File x\nModuleNotFoundError: No module named 'mine'\n")
    assert reason_of(error) == "RuntimeError: ModuleNotFoundError: No module named 'mine'"
    assert reason_of(KeyError()) == "KeyError"


def test_a_cluster_needs_a_worker() -> None:
    with pytest.raises(InputError, match="at least one worker"):
        RayExecutor(workers=0)
