"""Compare this network with arrays recorded from the public implementation: one line per array, then a verdict.

    python tools/parity_model.py reference_a.npz [--salt a]

Exit status 0 when every array agrees, 1 when one does not, 2 when the file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden_fill import golden_model

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel, SceneFeatures
from diffdrive.model.reference_format import reference_key
from diffdrive.tensors import PlannerInputs, PlannerTargets, Proposals
from diffdrive.training.objectives import LossTerms, ObjectiveWeights, noisy_points, planner_losses
from diffdrive.training.objectives.agents import assign, pair_costs

ARRAY_TOLERANCE = 1e-4
LOSS_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
GRADIENT_FLOOR = 1e-5

NUM_TIES = 3
"""Other cheapest matchings of agents that are tried."""

TIE_NOISE = 1e-4
"""Far below any preference between two matchings (metres), above the rounding of costs."""

TIE_NOTICED = 1e-6
TIE_ALLOWANCE = 3.0
"""The recorded matching is one more draw, so it may lie somewhat outside what a few draws span."""

Recorded = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison. ``worst`` is an absolute difference, or a relative one where ``is_relative``."""

    name: str
    worst: float
    tolerance: float
    is_relative: bool = False
    note: str = ""

    @property
    def agrees(self) -> bool:
        # Written so that NaN disagrees.
        return self.worst <= self.tolerance

    def __str__(self) -> str:
        verdict = "ok  " if self.agrees else "FAIL"
        kind = "relative" if self.is_relative else "absolute"
        return f"{verdict} {self.name:32s} worst {kind} {self.worst:9.2e}  allowed {self.tolerance:.1e}  {self.note}".rstrip()


def compare(recorded: Recorded, salt: str) -> Iterator[Row]:
    """Every array of the file against this network with the golden weights of ``salt``."""
    model = golden_model(torch.from_numpy(recorded["in/anchors"]), salt)
    inputs = recorded_inputs(recorded)
    yield _names(model, recorded)
    with torch.no_grad():
        features = model.encode(inputs)
        proposals = model(inputs, torch.from_numpy(recorded["in/noise"]))
        arrays = {**_perception(model, inputs, features), **_proposals(proposals)}
    expected = {name.removeprefix("eval/") for name in recorded if name.startswith("eval/")}
    for name in sorted(expected | set(arrays)):
        yield _array(f"eval/{name}", arrays.get(name), recorded.get(f"eval/{name}"))
    yield from _training(model, inputs, recorded)


def recorded_inputs(recorded: Recorded) -> PlannerInputs:
    """The recording's camera, LiDAR and status as the network takes them."""
    return PlannerInputs(
        camera=torch.from_numpy(recorded["in/camera_uint8_hwc"]).permute(0, 3, 1, 2).float() / 255.0,
        lidar=torch.from_numpy(recorded["in/lidar_count"]).float() / 5.0,
        status=torch.from_numpy(recorded["in/status"]).float(),
    )


def _names(model: PlannerModel, recorded: Recorded) -> Row:
    """Count of state-dict entries whose name or shape differs from the file's list."""
    ours = {reference_key(key): list(value.shape) for key, value in model.state_dict().items()}
    theirs = {str(k): json.loads(str(s)) for k, s in zip(recorded["keys"], recorded["shapes"], strict=True)}
    wrong = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
    return Row(name="state dict names and shapes", worst=float(len(wrong)), tolerance=0.0, note=f"{len(theirs)} entries")


def _perception(model: PlannerModel, inputs: PlannerInputs, features: SceneFeatures) -> dict[str, Tensor]:
    fused, fine_bev = model.backbone(inputs.camera, inputs.lidar)
    return {
        "agent_states": features.agents.states,
        "agent_labels": features.agents.logits,
        "bev_semantic_map_sub8": features.bev_logits[..., ::8, ::8],
        "bev_upscale_sub4": fine_bev[..., ::4, ::4],
        "fused_lidar": fused[:, ::8],
        "query_out": torch.cat((features.ego_query, features.agent_queries), dim=1),
        "bev_proj_sub16": features.bev.flatten(2).transpose(1, 2)[:, ::64],
    }


def _proposals(proposals: Proposals) -> dict[str, Tensor]:
    arrays = {"trajectory": proposals.best}
    for step, layers in enumerate(proposals.passes):
        for index, layer in enumerate(layers):
            arrays[f"step{step}/layer{index}/poses"] = layer.poses
            arrays[f"step{step}/layer{index}/logits"] = layer.logits
    return arrays


def _array(name: str, ours: Tensor | None, theirs: np.ndarray | None) -> Row:
    if ours is None or theirs is None:
        missing = "in the file" if theirs is None else "in this network's outputs"
        return Row(name=name, worst=float("inf"), tolerance=ARRAY_TOLERANCE, note=f"missing {missing}")
    given = ours.detach().numpy()
    if given.shape != theirs.shape:
        note = f"shape {list(given.shape)}, recorded {list(theirs.shape)}"
        return Row(name=name, worst=float("inf"), tolerance=ARRAY_TOLERANCE, note=note)
    worst = float(np.abs(given.astype(np.float64) - theirs).max())
    return Row(name=name, worst=worst, tolerance=ARRAY_TOLERANCE, note=f"{theirs.size} values")


def _training(model: PlannerModel, inputs: PlannerInputs, recorded: Recorded) -> Iterator[Row]:
    """The training path with dropout off and batch norm in evaluation state: losses and every gradient norm."""
    targets = PlannerTargets(
        trajectory=torch.from_numpy(recorded["tgt/trajectory"]),
        agent_states=torch.from_numpy(recorded["tgt/agent_states"]),
        agent_labels=torch.from_numpy(recorded["tgt/agent_labels"]),
        bev_semantic=torch.from_numpy(recorded["tgt/bev_semantic"]).long(),
    )
    levels = torch.from_numpy(recorded["train/levels"])
    points = noisy_points(model, torch.from_numpy(recorded["in/noise"]), levels)
    features = model.encode(inputs)
    layers = model.decode(features, points, levels)
    best = layers[-1].poses[torch.arange(len(levels)), layers[-1].logits.argmax(dim=1)]
    yield _array("train/trajectory", best, recorded["train/trajectory"])
    ours, *ties = [
        _measured(model, planner_losses(layers, features, targets, model.anchors, ObjectiveWeights(), slots))
        for slots in _matchings(features, targets)
    ]
    for name, value in zip(recorded["train/loss_names"].tolist(), recorded["train/loss_values"].tolist(), strict=True):
        error = _relative(ours.losses.get(name, float("nan")), value)
        spread = max(_relative(tie.losses.get(name, 0.0), ours.losses.get(name, 0.0)) for tie in ties)
        yield _with_ties(f"train/{name}", error, LOSS_TOLERANCE, spread, note=f"{value:.6g}")
    yield from _gradients(ours, ties, recorded)


def _matchings(features: SceneFeatures, targets: PlannerTargets) -> list[Tensor]:
    """Our matching of agents, then others that cost the same as far as the recording machine could tell.

    The recorded losses contain one of the cheapest matchings. Where L1 distances tie there are many of them, and rounding
    chooses. So the rows that depend on it are allowed what changes between our matching and these.
    """
    costs = pair_costs(features.agents, targets.agent_states, targets.agent_labels, ObjectiveWeights())
    generator = torch.Generator().manual_seed(0)
    noise = [TIE_NOISE * torch.rand(costs.shape, generator=generator) for _ in range(NUM_TIES)]
    return [assign(costs), *(assign(costs + each) for each in noise)]


@dataclass(frozen=True, slots=True)
class Measured:
    """Losses and gradient norms, by the public implementation's names."""

    losses: dict[str, float]
    norms: dict[str, float]


def _measured(model: PlannerModel, losses: LossTerms) -> Measured:
    """The public implementation's per-layer terms lack the trajectory weight, and its diffusion loss is always 0."""
    named = dict(model.named_parameters())
    gradients = torch.autograd.grad(losses.total, list(named.values()), retain_graph=True)
    norms = {reference_key(name): float(g.double().norm()) for name, g in zip(named, gradients, strict=True)}
    terms = {name: value.item() for name, value in losses.terms.items()}
    layers = [value for name, value in terms.items() if name.startswith("trajectory_")]
    values = {
        "loss": losses.total.item(),
        "trajectory_loss": sum(layers),
        "diffusion_loss": 0.0,
        "agent_class_loss": terms["agent_class"],
        "agent_box_loss": terms["agent_box"],
        "bev_semantic_loss": terms["bev_semantic"],
        **{f"trajectory_loss_{index}": value / ObjectiveWeights().trajectory for index, value in enumerate(layers)},
    }
    return Measured(values, {**norms, reference_key("anchors"): 0.0})


def _gradients(ours: Measured, ties: list[Measured], recorded: Recorded) -> Iterator[Row]:
    """One row per part of the network: the worst of its parameters' gradient norms."""
    expected = dict(zip(recorded["train/grad_names"].tolist(), recorded["train/grad_norms"].tolist(), strict=True))
    groups: dict[str, list[str]] = {}
    for key in sorted(expected.keys() | ours.norms.keys()):
        groups.setdefault(".".join(key.split(".")[:2]), []).append(key)
    for group, keys in groups.items():
        errors = {
            key: _relative(ours.norms.get(key, float("nan")), expected.get(key, float("nan")), GRADIENT_FLOOR) for key in keys
        }
        worst = max(keys, key=lambda key: (errors[key] != errors[key], errors[key]))
        known = [key for key in keys if key in ours.norms]
        spread = max((_relative(tie.norms[key], ours.norms[key], GRADIENT_FLOOR) for tie in ties for key in known), default=0.0)
        note = f"{len(keys)} parameters, worst {worst}"
        yield _with_ties(f"train/grad {group}", errors[worst], GRADIENT_TOLERANCE, spread, note)


def _relative(given: float, expected: float, floor: float = 0.0) -> float:
    error = abs(given - expected)
    if error <= floor:
        return 0.0
    return error / abs(expected) if expected else float("inf")


def _with_ties(name: str, error: float, tolerance: float, spread: float, note: str) -> Row:
    if spread <= TIE_NOTICED:
        return Row(name=name, worst=error, tolerance=tolerance, is_relative=True, note=note)
    note = f"{note}; matchings of equal cost differ by {spread:.1e}"
    return Row(name=name, worst=error, tolerance=tolerance + TIE_ALLOWANCE * spread, is_relative=True, note=note)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="arrays recorded from the public implementation (.npz)")
    parser.add_argument("--salt", default="a", help="of the golden weight fill (default: a)")
    arguments = parser.parse_args()
    try:
        with np.load(arguments.file, allow_pickle=False) as archive:
            recorded = {name: archive[name] for name in archive.files}
        rows = []
        for row in compare(recorded, arguments.salt):
            rows.append(row)
            print(row, flush=True)
    except (OSError, ValueError, KeyError, InputError) as error:
        print(f"Cannot compare '{arguments.file}': {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    failed = [row.name for row in rows if not row.agrees]
    print(f"DIFFERENT: {len(failed)} of {len(rows)} rows" if failed else f"EQUAL: all {len(rows)} rows agree")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
