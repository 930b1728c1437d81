"""The commands of each devkit, as docs/navsim.md gives them to users, for one small data set and the shipped planner."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command_steps import Step
from navsim_checks import (
    checked_export,
    checked_features,
    checked_metric_cache,
    checked_own,
    checked_scores,
    checked_submission,
    checked_training,
    trained_checkpoint,
)
from navsim_devkit import Devkit, Version

from diffdrive.openscene.export import RECORD_FILE

SPLIT = "mini"
NANO = "nano"
"""What our scorer calls the shipped planner."""

PLANNERS = {"human": "human", "constant_velocity": "constant_velocity", NANO: "network"}
"""What is scored, and what ``diffdrive evaluate --planners`` calls it."""

AGENTS = {
    "human": ["agent=human_agent"],
    "constant_velocity": ["agent=constant_velocity_agent"],
    NANO: [
        "agent=diffusiondrive_nano",
        "hydra.searchpath=[pkg://navsim.planning.script.config.common,pkg://diffdrive_configs.navsim]",
    ],
}
SCENES = [
    "train_test_split=test",
    f"train_test_split.data_split={SPLIT}",
    "train_test_split.scene_filter.frame_interval=1",
    "worker=sequential",
]
TEAM = ["team_name=proof", "authors=nobody", "email=nobody@example.org", "institution=none", "country=none"]
SHORT_TRAINING_ON_CPU = [
    "trainer.params.accelerator=cpu",
    "trainer.params.strategy=auto",
    "trainer.params.precision=32",
    "trainer.params.max_epochs=1",
    "trainer.params.limit_train_batches=4",
    "trainer.params.limit_val_batches=2",
    "dataloader.params.batch_size=4",
    "dataloader.params.num_workers=0",
    "dataloader.params.prefetch_factor=null",
    "dataloader.params.pin_memory=false",
]


def diffdrive(*words: str) -> list[str]:
    """The command of the diffdrive that is installed in this environment."""
    return [str(Path(sys.executable).with_name("diffdrive")), *words]


def export_step(data: Path, logs: Sequence[str], out: Path) -> Step:
    """Logs of the embedded world as NAVSIM data, sensors drawn at a quarter of nuPlan's size."""
    words = diffdrive("world", "export-navsim", str(data), "--out", str(out), "--split", SPLIT, "--logs", *logs)
    return Step(name="export", words=words, out=out, check=checked_export, environment={"PYTHONPATH": ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Of one devkit, on one export; everything is written below ``folder``."""

    devkit: Devkit
    export: Path
    folder: Path
    environment: dict[str, str]
    """What the devkit's scripts read."""

    seed: int = 0
    """Of the noise that the planner starts from, in both scorers."""

    def metric_caching(self) -> Step:
        """What the devkit prepares before it scores."""
        place = "cache.cache_path" if self.devkit.version is Version.V1 else "metric_cache_path"
        words = [*SCENES, f"{place}={self.metric_cache}"]
        return self._step("metric_caching", "run_metric_caching", words, self.metric_cache, checked_metric_cache)

    def scoring(self, name: str, agent: Sequence[str], traffic: str = "non_reactive") -> Step:
        """The devkit scores an agent; v2.2 amid ``traffic``."""
        out = self.scores(name)
        words = [*SCENES, *agent, f"metric_cache_path={self.metric_cache}", f"experiment_name={name}", f"output_dir={out}"]
        if self.devkit.version is Version.V1:
            return self._step(f"score_{name}", "run_pdm_score", words, out, checked_scores)
        words.append(f"traffic_agents={traffic}")
        return self._step(f"score_{name}", "run_pdm_score_one_stage", words, out, checked_scores)

    def own_scoring(self) -> Step:
        """Our scorer reads the same files, in a process that does not know the devkit."""
        metric = self.devkit.version.metric
        words = diffdrive("evaluate", "--source", "openscene", "--data", str(self.export), "--split", SPLIT)
        words += ["--planners", *PLANNERS.values(), "--metric", metric, "--noise", "seeded", "--seed", str(self.seed)]
        words += ["--executor", "serial", "--out", str(self.own_scores)]
        return Step(name="own_scores", words=words, out=self.own_scores, check=checked_own, environment={"PYTHONPATH": ""})

    def dataset_caching(self) -> Step:
        """Features and targets of every scene."""
        words = [*SCENES, *self.agent, f"cache_path={self.dataset_cache}", "experiment_name=dataset_caching"]
        return self._step("dataset_caching", "run_dataset_caching", words, self.dataset_cache, checked_features)

    def training(self) -> Step:
        """A few batches from that cache; the last log is for validation."""
        logs = sorted(json.loads((self.export / RECORD_FILE).read_text())["logs"])
        out = self.folder / "training"
        words = [*SCENES, *self.agent, f"cache_path={self.dataset_cache}", *SHORT_TRAINING_ON_CPU]
        words += ["use_cache_without_dataset=true", "force_cache_computation=false"]
        words += [f"train_logs=[{','.join(logs[:-1] or logs)}]", f"val_logs=[{logs[-1]}]"]
        words += ["experiment_name=training", f"output_dir={out}"]
        return self._step("training", "run_training", words, out, checked_training)

    def scoring_of_trained(self) -> Step:
        """The devkit scores the checkpoint that its own training left. Raises ``InputError`` where there is none."""
        # Lightning writes an equals sign into the name, which Hydra would take for its own.
        checkpoint = trained_checkpoint(self.folder / "training")
        return self.scoring("trained", [*self.agent, f"agent.checkpoint_path='{checkpoint}'"])

    def submission(self) -> Step:
        """The file that one uploads."""
        out = self.folder / "submission"
        words = [*SCENES, *self.agent, *TEAM, "experiment_name=submission", f"output_dir={out}"]
        if self.devkit.version is Version.V2:
            # Of a split without a second stage the script would loop over None.
            words.append("+train_test_split.scene_filter.reactive_synthetic_initial_tokens=[]")
        return self._step("submission", "run_create_submission_pickle", words, out, checked_submission)

    def submission_check(self) -> Step:
        """What we say about that file."""
        file = self.folder / "submission" / "submission.pkl"
        words = diffdrive("navsim", "submit-check", str(file), "--data", str(self.export), "--split", SPLIT)
        return Step(name="submit_check", words=words, out=None, check=None, environment={"PYTHONPATH": ""})

    def scores(self, name: str) -> Path:
        """Folder of the devkit's scores of an agent."""
        return self.folder / f"scores_{name}"

    @property
    def agent(self) -> list[str]:
        """The shipped planner as an agent of the devkit."""
        return [*AGENTS[NANO], f"agent.seed={self.seed}"]

    @property
    def own_scores(self) -> Path:
        """Folder of our scores."""
        return self.folder / "own_scores"

    @property
    def metric_cache(self) -> Path:
        """Of the devkit."""
        return self.folder / "metric_cache"

    @property
    def dataset_cache(self) -> Path:
        """Of the devkit."""
        return self.folder / "dataset_cache"

    def _step(self, name: str, script: str, words: Sequence[str], out: Path, check: Callable[[Path], dict[str, Any]]) -> Step:
        whole = [*self.devkit.script(script), *words]
        return Step(name=name, words=whole, out=out, check=check, environment=self.environment)
