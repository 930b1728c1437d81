"""Who takes part: planners by name, made anew in every process that works on the job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from diffdrive.baselines import ConstantTurnRate, ConstantVelocity, EgoStatusMLP, Human
from diffdrive.contracts import InputError
from diffdrive.evaluation.conditions import checkpoint_hash
from diffdrive.evaluation.names import PlannerName
from diffdrive.evaluation.scoring.pdm_closed import PdmClosed
from diffdrive.runtime import EngineChoice, EngineOptions, Plan, Planner
from diffdrive.runtime.noise import NoiseKind, noise_for, scene_key
from diffdrive.scene import Observation, Scene, Trajectory
from diffdrive.scoring.scoring_scene import ScoringScene

T = TypeVar("T")


@runtime_checkable
class PlansObservations(Protocol):
    """A planner: it sees what the car may know."""

    def plan(self, observation: Observation) -> Plan | Trajectory:
        """Where the rear axle shall be, in the ego frame at t = 0."""


@runtime_checkable
class PlansScenes(Protocol):
    """Not a planner but a bound: it sees the future (``baselines.SceneBaseline``)."""

    def plan_scene(self, scene: Scene) -> Trajectory:
        """Raises ``InputError`` where the scene does not hold what is needed."""


@runtime_checkable
class PlansPreparedScenes(Protocol):
    """Not a planner but a yardstick: it sees what the score is computed from."""

    def plan_prepared(self, scene: ScoringScene) -> Trajectory:
        """The trajectory, in the ego frame at t = 0."""


AnyPlanner = PlansObservations | PlansScenes | PlansPreparedScenes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A planner that takes part: what it is called and how any process can make it."""

    name: str
    make: Callable[[], AnyPlanner]
    """Called once in each process; must be picklable for executors that use other processes."""

    identity: str = ""
    """What tells it from another planner of the same name, such as a hash of its weights: a run is continued only with
    planners that are still the same."""

    needs_sensors: bool = False
    """Whether it looks at images and sweeps. Loading or rendering them takes most of the time of simple planners."""

    @classmethod
    def of(cls, name: str, planner: AnyPlanner, *, identity: str = "", needs_sensors: bool = True) -> Entrant:
        """A planner that is at hand already."""
        return cls(name=name, make=partial(_itself, planner), identity=identity, needs_sensors=needs_sensors)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """How networks are run; picklable, as the planner itself is not."""

    engine: str = "eager"
    """NAME or NAME:PRECISION, as ``runtime.EngineChoice`` reads it."""

    options: EngineOptions = field(default_factory=EngineOptions)
    """The precision in here gives way to the one in ``engine``."""

    seed: int = 0

    noise: NoiseKind | None = None
    """What each scene's plan starts from; None: the planner's own noise, one for all scenes. Raises ``InputError`` for
    ``TORCH``: the result would depend on which process scores which scene first."""

    def __post_init__(self) -> None:
        if self.noise is NoiseKind.TORCH:
            raise InputError("Noise of torch's generator depends on the order of scenes. Score with SEEDED, ZERO or None.")


def entrants(names: Sequence[PlannerName], checkpoint: Path, network: NetworkOptions | None = None) -> tuple[Entrant, ...]:
    """The planners called ``names``, in that order; ``checkpoint`` is the folder for names that need one and give none.

    Raises ``InputError`` for folders that hold no checkpoint.
    """
    return tuple(_entrant(name, checkpoint, network or NetworkOptions()) for name in names)


def _entrant(name: PlannerName, checkpoint: Path, network: NetworkOptions) -> Entrant:
    simple: dict[str, Callable[[], AnyPlanner]] = {
        "constant_velocity": ConstantVelocity,
        "constant_turn_rate": ConstantTurnRate,
        "human": Human,
        "pdm_closed": PdmClosed,
    }
    if name.kind in simple:
        return Entrant(name=name.kind, make=simple[name.kind])
    folder = name.folder or checkpoint
    weights = checkpoint_hash(folder)
    if name.kind == "ego_status_mlp":
        return Entrant(name=name.kind, make=partial(EgoStatusMLP.load, folder), identity=weights)
    how = f"{weights} engine={network.engine} jumps={network.options.jumps} device={network.options.device} seed={network.seed}"
    if network.noise is not None:
        how += f" noise={network.noise.value}"
    return Entrant(name=folder.resolve().name, make=partial(load_network, folder, network), identity=how, needs_sensors=True)


@dataclass(frozen=True, slots=True)
class PlannerWithNoise:
    """A planner that starts each scene from noise of its own."""

    planner: Planner
    kind: NoiseKind
    seed: int

    def plan(self, observation: Observation) -> Plan:
        """As ``Planner.plan``."""
        key = scene_key(observation) if self.kind is NoiseKind.SEEDED else ""
        noise = noise_for(self.kind, key, self.seed, self.planner.engine.spec.noise_shape[1:])
        return self.planner.plan(observation, noise=noise)


def load_network(folder: Path, network: NetworkOptions) -> Planner | PlannerWithNoise:
    """The planner of a checkpoint folder. Raises ``InputError`` as ``Planner.from_checkpoint`` does."""
    from dataclasses import replace

    choice = EngineChoice.parse(network.engine)
    options = replace(network.options, precision=choice.precision)
    planner = Planner.from_checkpoint(folder, engine=choice.name, options=options, seed=network.seed)
    return planner if network.noise is None else PlannerWithNoise(planner, network.noise, network.seed)


def _itself(planner: Any) -> Any:
    return planner
