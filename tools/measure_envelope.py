"""What the safety envelope changes on the benchmark's test split: limits broken before and after, and scores.

diffdrive world generate --out out/world/test --benchmark test --workers 2
python tools/measure_envelope.py --logs out/world/test --out out/envelope.json

Every scene is a first cycle: there is no plan before to go on with.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ablation_data import TestSet, test_set
from ablation_measure import plan_all, scored

from diffdrive.assets import CHECKPOINTS
from diffdrive.files import written_aside
from diffdrive.model.checkpoint import load_checkpoint
from diffdrive.runtime.envelope import (
    Cycle,
    DecisionMemory,
    EgoMotion,
    EnvelopeConfig,
    check_proposals,
    decide,
    load_envelope_config,
)
from diffdrive.runtime.plan import Plan, PlanStatus
from diffdrive.scene import SceneSource, Trajectory
from diffdrive.training.config import SourceConfig, load_training_config
from diffdrive.training.encoded_scenes import encode_scenes
from diffdrive.world.source import WorldSource

_INTERVAL_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=Path, required=True, metavar="DIR", help="logs of the benchmark's split")
    parser.add_argument("--split", default="test")
    parser.add_argument("--sensors", type=Path, metavar="DIR", help="their rendered sensors, kept")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINTS / "nano")
    parser.add_argument("--config", type=Path, default=Path("configs/training/nano.yaml"), help="run file: feature layout")
    parser.add_argument("--envelope", type=Path, metavar="YAML", help="limits (default: as shipped)")
    parser.add_argument("--work", type=Path, default=Path("out/envelope"), help="features and prepared scenes, kept")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("out/envelope.json"))
    args = parser.parse_args()
    source = SourceConfig(root=args.logs, render_cache=args.sensors)
    run = load_training_config(args.config, [f"data.cache={args.work / 'features'}"])
    test = test_set(run, source, args.split, args.work / "prepared", args.workers)
    model = load_checkpoint(args.checkpoint)
    seen = encode_scenes(model, test.cache, np.arange(len(test.cache)), half=False)
    proposals, logits = plan_all(model, None, seen)
    world = WorldSource(args.logs)
    plans = [_plan(fan, each) for fan, each in zip(proposals.astype(np.float64), logits.astype(np.float64), strict=True)]
    motions = [_motion(world, token) for token in test.cache.spec.tokens]
    config = load_envelope_config(args.envelope)
    decisions = [decide(_cycle(plan, motion), DecisionMemory(), config)[0] for plan, motion in zip(plans, motions, strict=True)]
    before = np.stack([plan.trajectory.poses for plan in plans])
    after = np.stack([decision.trajectory.poses for decision in decisions])
    report = {
        "scenes": len(plans),
        "proposals": int(proposals.shape[0] * proposals.shape[1]),
        "infeasible_proposals": sum(decision.num_infeasible for decision in decisions),
        "status": dict(Counter(decision.status.name for decision in decisions)),
        "changed": int((before != after).any(axis=(1, 2)).sum()),
        "before": _breaks(before, motions, config) | {"pdms": _pdms(test, before)},
        "after": _breaks(after, motions, config) | {"pdms": _pdms(test, after)},
    }
    print(json.dumps(report, indent=1))
    with written_aside(args.out) as aside:
        aside.write_text(json.dumps(report, indent=1) + "\n")


def _plan(proposals: np.ndarray, logits: np.ndarray) -> Plan:
    scores = np.exp(logits - logits.max())
    return Plan(
        trajectory=Trajectory(proposals[int(logits.argmax())]),
        proposals=proposals,
        scores=scores / scores.sum(),
        status=PlanStatus.PLANNED,
    )


def _motion(source: SceneSource, token: str) -> EgoMotion:
    scene = source.load(token, sensors=False)
    return EgoMotion(history=scene.observation.ego_history, odometry_pose=scene.world_from_ego)


def _cycle(plan: Plan, motion: EgoMotion) -> Cycle:
    return Cycle(now_us=motion.present.timestamp_us, plan=plan, motion=motion)


def _breaks(trajectories: np.ndarray, motions: Sequence[EgoMotion], config: EnvelopeConfig) -> dict[str, Any]:
    """How many of ``trajectories`` [N, T, 3] break a limit, and which."""
    kinds: Counter[str] = Counter()
    count = 0
    for poses, motion in zip(trajectories, motions, strict=True):
        found = check_proposals(poses[None], _INTERVAL_S, motion.present, config.wheel_base, config.limits).violations(0)
        kinds.update(violation.name for violation in found)
        count += bool(found)
    return {"infeasible": count, "violations": dict(kinds)}


def _pdms(test: TestSet, trajectories: np.ndarray) -> float:
    return float(scored(test.scenes, trajectories)["pdms"].mean())


if __name__ == "__main__":
    main()
