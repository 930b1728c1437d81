"""One process: what a run leaves, what it refuses to overwrite, and how it ends before its time."""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffdrive.contracts import InputError
from diffdrive.training.cache import FeatureCache
from diffdrive.training.config import BestBy, InitialConfig, RecordingConfig, ScoreStageConfig, TrainingConfig, ValidationConfig
from diffdrive.training.data_module import PlannerDataModule
from diffdrive.training.engine.checkpoint_file import CheckpointFile
from diffdrive.training.engine.checkpoints import Monitor
from diffdrive.training.engine.devices import check_launch, launch_of_this_process
from diffdrive.training.engine.learning_curves import read_curves
from diffdrive.training.engine.loggers import loggers_of
from diffdrive.training.engine.outcomes import InterruptedTrainingError, TrainingError
from diffdrive.training.engine.outline import RunOutline
from diffdrive.training.engine.run_folder import RunFolder, newest_checkpoint
from diffdrive.training.fit import fit
from diffdrive.training.lightning_module import PlannerLightningModule

WORKER = Path(__file__).resolve().parents[1] / "helpers" / "killed_worker.py"


def weights(path: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(path, weights_only=False)
    return saved["state_dict"] | {f"average {name}": t for name, t in saved["diffdrive"]["average"]["state"].items()}


def assert_same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=0, msg=name)


def after_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Any) -> None:
    """Call ``act`` once, when optimiser step ``step`` is done."""
    end = PlannerLightningModule.on_train_batch_end

    def watched(module: PlannerLightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        end(module, outputs, batch, batch_idx)
        if module.global_step == step:
            act()

    monkeypatch.setattr(PlannerLightningModule, "on_train_batch_end", watched)


def killed_at_a_random_moment(config: TrainingConfig, cache: FeatureCache) -> None:
    """Train in another process until it has saved itself, and kill it soon after."""
    last = config.folder / "checkpoints" / "last.ckpt"
    command = [sys.executable, str(WORKER), str(config.output), str(cache.folder)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        until = time.monotonic() + 200
        while not last.is_file() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(float(np.random.default_rng().uniform(0.0, 0.4)))
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_runs_that_were_killed_or_stopped_end_as_one_that_was_not(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(tiny_config, tiny_cache)
    straight = RunFolder(tiny_config.folder)

    recording = RecordingConfig(checkpoint_minutes=1e-4, tensorboard=False)
    config = dataclasses.replace(tiny_config, name="killed", recording=recording)
    killed_at_a_random_moment(config, tiny_cache)
    fit(config, tiny_cache, resume="auto")
    assert_same(weights(straight.last), weights(RunFolder(config.folder).last))

    config = dataclasses.replace(tiny_config, name="stopped")
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        after_step(patch, 3, lambda: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(InterruptedTrainingError, match=r"SIGTERM after step 3.*--resume auto") as stop:
            fit(config, tiny_cache)
    assert stop.value.status == 143
    assert signal.getsignal(signal.SIGTERM) is before
    resumed = RunFolder(config.folder)
    assert torch.load(resumed.last, weights_only=False)["global_step"] == 3
    fit(config, tiny_cache, resume="auto")
    assert_same(weights(straight.last), weights(resumed.last))
    assert_same(weights(straight.best), weights(resumed.best))
    assert len(resumed.logs) == 2
    one, two = (read_curves(folder.logs) for folder in (straight, resumed))
    np.testing.assert_array_equal(one["val/ade"], two["val/ade"])
    assert straight.curves.read_bytes()[:4] == b"\x89PNG"


def test_steps_that_end_a_run_within_an_epoch_can_be_followed_by_more(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache
) -> None:
    config = dataclasses.replace(
        tiny_config, accumulate=2, optimizer=dataclasses.replace(tiny_config.optimizer, warmup_epochs=9)
    )
    fit(config, tiny_cache)
    short = dataclasses.replace(config, name="short", max_steps=3)
    fit(short, tiny_cache)
    fit(dataclasses.replace(short, max_steps=None), tiny_cache, resume=short.folder / "checkpoints" / "last.ckpt")
    assert_same(weights(RunFolder(config.folder).last), weights(RunFolder(short.folder).last))


def test_the_clock_saves(tiny_config: TrainingConfig, tiny_cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    last = tiny_config.folder / "checkpoints" / "last.ckpt"
    seen: dict[str, bool] = {}
    for name, minutes in (("often", 1e-9), ("seldom", 1e9)):
        config = dataclasses.replace(tiny_config, epochs=1, recording=RecordingConfig(checkpoint_minutes=minutes))
        with monkeypatch.context() as patch:
            after_step(patch, 3, lambda name=name: seen.__setitem__(name, last.is_file()))  # type: ignore[misc]
            fit(config, tiny_cache)
        last.parent.rename(tiny_config.folder / f"checkpoints-{name}")
        (tiny_config.folder / "config.yaml").unlink()
    assert seen == {"often": True, "seldom": False}


def test_a_full_disk_leaves_the_checkpoint_before(
    tiny_config: TrainingConfig, tiny_cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, path = CheckpointFile(), tmp_path / "last.ckpt"
    file.save_checkpoint({"step": 1}, path)
    # A real write that stops in the middle, as on a full disk.
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        file.save_checkpoint({"step": 2, "weights": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.failure is not None
    assert "could not be written" in file.failure
    assert torch.load(path)["step"] == 1
    assert [child.name for child in tmp_path.glob("*.ckpt")] + [c.name for c in tmp_path.glob(".*")] == ["last.ckpt"]

    def full(self: CheckpointFile, *_: Any, **__: Any) -> None:
        self.failure = "No space left."

    monkeypatch.setattr(CheckpointFile, "save_checkpoint", full)
    with pytest.raises(TrainingError, match="No space left"):
        fit(tiny_config, tiny_cache)


def test_the_newest_good_checkpoint_is_found(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for age, (name, content) in enumerate([("best", {"diffdrive": {}}), ("last", {"diffdrive": {}}), ("foreign", {"x": 1})]):
        torch.save(content, tmp_path / f"{name}.ckpt")
        os.utime(tmp_path / f"{name}.ckpt", (age, age))
    assert newest_checkpoint(tmp_path) == tmp_path / "last.ckpt"
    whole = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    assert newest_checkpoint(tmp_path) == tmp_path / "best.ckpt"


def test_a_folder_is_not_overwritten(tiny_config: TrainingConfig, tmp_path: Path) -> None:
    folder = RunFolder(tiny_config.folder)
    assert folder.start_from(tiny_config, None) is None
    assert folder.start_from(tiny_config, "auto") is None
    folder.begin(tiny_config)
    other = dataclasses.replace(tiny_config, seed=7)
    for resume in (None, "auto"):
        with pytest.raises(InputError, match=r"other settings: seed \(0 there, 7 here\)"):
            folder.start_from(other, resume)
    folder.checkpoints.mkdir()
    torch.save({"diffdrive": {}}, folder.last)
    with pytest.raises(InputError, match="--resume auto"):
        folder.start_from(tiny_config, None)
    assert folder.start_from(tiny_config, "auto") == folder.last
    assert folder.start_from(other, folder.last) == folder.last
    (folder.checkpoints / ".last.123.ckpt").write_text("half")
    folder.begin(tiny_config)
    assert [path.name for path in folder.checkpoints.iterdir()] == ["last.ckpt"]


def test_the_best_is_what_the_configuration_calls_best() -> None:
    ade, pdms = Monitor.of(BestBy.ADE), Monitor.of(BestBy.PDMS)
    assert ade.is_better(1.0, 2.0)
    assert not ade.is_better(2.0, 1.0)
    assert pdms.is_better(0.9, 0.8)
    assert pdms.is_better(0.1, None)
    with pytest.raises(InputError, match="pdms_scenes"):
        ValidationConfig(monitor=BestBy.PDMS)


def test_processes_and_configuration_must_agree(tiny_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    check_launch(tiny_config)
    with pytest.raises(InputError, match="torchrun or srun"):
        check_launch(dataclasses.replace(tiny_config, nodes=2))
    for name, value in (("JOB_NAME", "train"), ("NTASKS", "4"), ("NTASKS_PER_NODE", "2"), ("PROCID", "3"), ("JOB_ID", "1")):
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert (launch_of_this_process().by, launch_of_this_process().rank) == ("Slurm", 3)
    check_launch(dataclasses.replace(tiny_config, nodes=2, devices=2))
    with pytest.raises(InputError, match="Slurm started 4 processes, and the configuration asks for 2"):
        check_launch(dataclasses.replace(tiny_config, devices=2))


def test_the_outline_counts_steps(tiny_config: TrainingConfig, tiny_cache: FeatureCache) -> None:
    config = dataclasses.replace(tiny_config, accumulate=2, devices=2, epochs=3)
    data = PlannerDataModule(tiny_cache, config.data, seed=config.seed, accumulate=config.accumulate)
    outline = RunOutline.of(config, data)
    assert (outline.train_scenes, outline.validation_scenes, outline.steps_per_epoch, outline.steps) == (9, 3, 1, 3)
    text = "\n".join(outline.lines())
    assert "8 scenes a step (2 x 2 processes x 2 accumulated)" in text
    assert "ddp" in text
    assert "then" not in text
    later = dataclasses.replace(
        config, epochs=0, initial=InitialConfig(checkpoint=Path("a")), score_stage=ScoreStageConfig(epochs=6)
    )
    text = "\n".join(RunOutline.of(later, data).lines())
    assert "none end to end, from 'a'" in text
    assert "score stage, 2 draws of every scene scored, 6 epochs" in text


def test_weights_and_biases_is_asked_for_by_name(tiny_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(tiny_config, recording=RecordingConfig(wandb_project="driving"))
    monkeypatch.setattr("diffdrive.training.engine.loggers.find_spec", lambda name: None if name == "wandb" else object())
    with pytest.raises(InputError, match="pip install wandb"):
        loggers_of(config, config.folder / "log-0")


def test_curves_of_a_resumed_run_continue(tmp_path: Path) -> None:
    for number, rows in enumerate(["0,3.0,\n10,2.0,\n10,,5.0\n20,1.0,\n", "10,2.5,\n"]):
        log = tmp_path / f"log-{number}"
        log.mkdir()
        (log / "metrics.csv").write_text("step,train/loss,val/ade\n" + rows)
    # The second start repeats what was lost from step 10 on; the third was killed before it wrote a line.
    curves = read_curves([tmp_path / f"log-{number}" for number in range(3)])
    np.testing.assert_array_equal(curves["train/loss"], [[0, 3.0], [10, 2.5]])
    assert "val/ade" not in curves
