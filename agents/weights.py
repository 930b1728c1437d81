"""Which network an agent runs: from a checkpoint of any kind, or new around a file of anchors.

Kinds of checkpoint: a folder that diffdrive wrote, the name of one that ships with it, the public DiffusionDrive file, and a
Lightning file that the devkit's ``run_training`` wrote from this agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffdrive.anchors import AnchorSet
from diffdrive.assets import CHECKPOINTS
from diffdrive.configuration import build, to_mapping
from diffdrive.contracts import InputError
from diffdrive.diffusion import BoxNormalizer
from diffdrive.model import PlannerConfig, PlannerModel, base, planner_config
from diffdrive.model.checkpoint import CONFIG_FILE, import_reference, lightning_state, load_checkpoint, load_config
from diffdrive.model.reference_format import PREFIX as PUBLIC_PREFIX

AGENT_PREFIX = "agent."
"""Before every key of an agent's state in a file that the devkit's Lightning module wrote."""

MODEL_PREFIX = "network."
"""The network within the agent's state."""

STATE_KEY = "_extra_state"
"""What ``torch.nn.Module.get_extra_state`` returned, within the agent's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSource:
    """Where the network comes from. ``config`` is cheap; ``network`` reads or draws the weights.

    Raises ``InputError`` when neither a checkpoint nor a preset is given, for a checkpoint that cannot be read, and for one
    of another network than ``preset`` and ``planner`` describe.
    """

    checkpoint: Path | None = None
    preset: str | None = None
    """base or nano; None takes what the checkpoint says."""

    planner: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of the preset."""

    anchors: Path | None = None
    """For a new network: the file of ``diffdrive anchors fit``."""

    seed: int = 0
    """Of a new network's first weights."""

    config: PlannerConfig = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checkpoint", None if self.checkpoint is None else _found(Path(self.checkpoint)))
        object.__setattr__(self, "anchors", None if self.anchors is None else Path(self.anchors))
        object.__setattr__(self, "config", self._config())

    def network(self) -> PlannerModel:
        """The network, float32, on the CPU. Raises ``InputError`` for weights that do not fit and for missing anchors."""
        if self.checkpoint is None:
            return self._new()
        if self.checkpoint.is_dir():
            return load_checkpoint(self.checkpoint)
        if _is_public(lightning_state(self.checkpoint)):
            return import_reference(self.checkpoint)
        return _from_agent(self.checkpoint, self.config)

    def _config(self) -> PlannerConfig:
        described = self._described()
        if self.checkpoint is None:
            if described is None:
                raise InputError("The agent needs a checkpoint_path, or a preset (base or nano) to train from scratch.")
            return described
        config = _config_of(self.checkpoint)
        if described is not None:
            _check_same(config, described, self.checkpoint)
        return config

    def _described(self) -> PlannerConfig | None:
        if self.preset is None:
            if self.planner:
                raise InputError(
                    f"planner overrides a preset, got {dict(self.planner)} without one. Set preset to base or nano."
                )
            return None
        config = planner_config(self.preset, self.planner)
        if self.anchors is None or "normalizer" in self.planner:
            return config
        box = AnchorSet.load(self.anchors).bounds
        return replace(config, normalizer=BoxNormalizer(**asdict(box)))

    def _new(self) -> PlannerModel:
        if self.anchors is None:
            raise InputError(
                "A new network needs anchors, and the agent has neither a checkpoint_path nor anchors. "
                "Fit them with 'diffdrive anchors fit' and set agent.anchors=FILE.npy."
            )
        anchors = AnchorSet.load(self.anchors)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return PlannerModel(self.config, torch.from_numpy(anchors.points.copy()))


def _found(path: Path) -> Path:
    if path.exists():
        return path
    if (CHECKPOINTS / path.name / CONFIG_FILE).is_file() and path.name == str(path):
        return CHECKPOINTS / path.name
    shipped = ", ".join(sorted(each.parent.name for each in CHECKPOINTS.glob(f"*/{CONFIG_FILE}")))
    raise InputError(
        f"Checkpoint '{path}' does not exist. Give a folder of diffdrive, a Lightning file, or the name of a checkpoint "
        f"that ships with diffdrive: {shipped}."
    )


def _config_of(checkpoint: Path) -> PlannerConfig:
    if checkpoint.is_dir():
        return load_config(checkpoint)
    state = lightning_state(checkpoint)
    if _is_public(state):
        return base()
    described = state.get(AGENT_PREFIX + STATE_KEY)
    if not isinstance(described, Mapping) or "planner" not in described:
        raise InputError(
            f"'{checkpoint}' is neither the public DiffusionDrive checkpoint (keys under '{PUBLIC_PREFIX}') nor one that "
            f"the devkit wrote from this agent (it lacks '{AGENT_PREFIX + STATE_KEY}'). Give one of the two, or a folder."
        )
    return build(PlannerConfig, described["planner"])


def _is_public(state: Mapping[str, Any]) -> bool:
    return any(key.startswith(PUBLIC_PREFIX) for key in state)


def _from_agent(file: Path, config: PlannerConfig) -> PlannerModel:
    prefix = AGENT_PREFIX + MODEL_PREFIX
    state: dict[str, Tensor] = {
        key.removeprefix(prefix): value for key, value in lightning_state(file).items() if key.startswith(prefix)
    }
    model = PlannerModel(config, torch.zeros(config.anchor_shape))
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(f"'{file}' does not fit the network that it describes: {error}") from error
    broken = [name for name, value in state.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise InputError(f"'{file}' holds weights that are not finite: {broken[0]}. The training that wrote it diverged.")
    return model.eval()


def _check_same(config: PlannerConfig, described: PlannerConfig, checkpoint: Path) -> None:
    given, wanted = _flat(to_mapping(config)), _flat(to_mapping(described))
    # The box comes with the anchors, which lie in the checkpoint.
    different = [key for key in wanted if given.get(key) != wanted[key] and not key.startswith("normalizer.")]
    if different:
        key = different[0]
        raise InputError(
            f"Checkpoint '{checkpoint}' holds another network than the agent's preset and planner describe: {key} is "
            f"{given.get(key)} there and {wanted[key]} here ({len(different)} values differ). "
            "Set agent.preset=null and leave out agent.planner to take what the checkpoint says."
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
