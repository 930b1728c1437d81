"""Train one row's decoder on an encoded perception, and keep the whole planner."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffdrive.anchors import fit_anchors
from diffdrive.diffusion import BoxNormalizer
from diffdrive.files import written_aside
from diffdrive.model import PlannerConfig, PlannerModel, planner_config
from diffdrive.model.checkpoint import load_checkpoint, save_checkpoint
from diffdrive.training.config import DecoderStageConfig, load_training_config
from diffdrive.training.decoder_stage import DecoderStage
from diffdrive.training.encoded_scenes import EncodedScenes

REPORT = "training.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderJob:
    """Everything that a process of its own needs to train a decoder."""

    name: str
    variant: Path
    """Run file."""

    perception: Path
    """Checkpoint folder."""

    encoded: Path
    """Folder that holds the scenes as that perception sees them: ``train`` and ``held``."""

    decoder: DecoderStageConfig
    seed: int
    out: Path
    device: str = "cpu"
    threads: int = 1

    @property
    def is_done(self) -> bool:
        return (self.out / REPORT).is_file()


def train_decoder(job: DecoderJob) -> str:
    """Train, write the planner and then ``training.json``; returns a line that says how it went."""
    torch.set_num_threads(job.threads)
    config = load_training_config(job.variant)
    scenes = EncodedScenes.load(job.encoded / "train")
    planner, anchors = anchored(planner_config(config.preset, config.planner), scenes.trajectory.numpy(), job.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        model = PlannerModel(planner, anchors)
    take_perception(model, load_checkpoint(job.perception))
    model.to(job.device)
    held = EncodedScenes.load(job.encoded / "held")
    stage = DecoderStage(model=model, scenes=scenes, held=held, config=job.decoder, weights=config.weights, seed=job.seed)
    start = time.monotonic()
    result = stage.train()
    report = {
        "minutes": (time.monotonic() - start) / 60,
        "steps": job.decoder.num_steps(len(scenes) // job.decoder.batch_size),
        "device": job.device,
        "threads": job.threads,
        "training_scenes": len(scenes),
        "validation_ade_m": result.ade,
    }
    save_checkpoint(job.out, model.eval(), {"name": job.name, "seed": job.seed, **report})
    with written_aside(job.out / REPORT) as aside:
        aside.write_text(json.dumps(report, indent=2) + "\n")
    return f"{job.name}, seed {job.seed}: ADE {result.ade:.3f} m, {report['minutes']:.1f} min"


def anchored(planner: PlannerConfig, driven: np.ndarray, seed: int) -> tuple[PlannerConfig, Tensor]:
    """The planner with the box of the driven trajectories [N, T, 3], and as many anchors clustered from them as it wants."""
    anchors = fit_anchors(driven, planner.num_modes, seed, "training scenes of the ablation", planner.targets.interval_s)
    box = anchors.bounds
    normalizer = BoxNormalizer(x_min_m=box.x_min_m, x_max_m=box.x_max_m, y_min_m=box.y_min_m, y_max_m=box.y_max_m)
    return replace(planner, normalizer=normalizer), torch.from_numpy(anchors.points.copy())


def take_perception(model: PlannerModel, source: PlannerModel) -> None:
    """Give ``model`` everything of ``source`` but its decoder and its anchors."""
    shared = {name: value for name, value in source.state_dict().items() if not name.startswith(("decoder.", "anchors"))}
    model.load_state_dict({**model.state_dict(), **shared})
