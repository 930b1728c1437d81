"""The rules of the benchmark: which towns make which split, and which of their scenes are kept."""

from __future__ import annotations

from dataclasses import dataclass

from diffdrive.contracts import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A part of the benchmark: towns of its own, and how many scenes of them."""

    name: str
    first_seed: int
    last_seed: int
    """The towns of a split have seeds in this range, both included. No two splits share one."""

    num_scenes: int
    is_hard: bool = False
    """Only scenes in which the simple drivers fail or a scripted event happens."""

    @property
    def folder(self) -> str:
        """The split that logs of its towns are written as: 123D knows train, val and test alone."""
        return "test" if self.is_hard else self.name


SPLITS = {
    split.name: split
    for split in (
        Split(name="train", first_seed=0, last_seed=4999, num_scenes=4000),
        Split(name="val", first_seed=5000, last_seed=5999, num_scenes=500),
        Split(name="test", first_seed=6000, last_seed=6999, num_scenes=1000),
        Split(name="test-hard", first_seed=7000, last_seed=7999, num_scenes=250, is_hard=True),
    )
}
"""Seeds from 9000 on are the logs that ship with the package: they belong to no split."""


def split_called(name: str) -> Split:
    """Raises ``InputError`` for another name."""
    if name not in SPLITS:
        raise InputError(f"There is no benchmark split '{name}'. Known splits: {', '.join(SPLITS)}.")
    return SPLITS[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkConfig:
    """Rules of choice. All scores are PDMS by the rules of NAVSIM v1.1, 0..1.

    A rule on a mean or a share holds for the chosen scenes of a split, exactly: a scene that would break one is not chosen.
    """

    stride_s: float = 1.0
    """Between the candidates of a log, seconds."""

    min_spacing_s: float = 2.0
    """Between the chosen scenes of a log, seconds."""

    min_expert: float = 0.8
    """A scene in which the expert itself scores less is dropped: it tells nothing about others."""

    solved_above: float = 0.8
    """A driver that scores more than this has solved a scene."""

    max_solved_share: float = 0.08
    """Of the chosen scenes, by constant velocity."""

    max_standing_share: float = 0.03
    min_mean_expert: float = 0.92
    max_mean_constant_velocity: float = 0.45
    max_mean_constant_turn_rate: float = 0.50
    max_mean_blind: float = 0.75
    hard_below: float = 0.5
    """A hard scene is one in which constant velocity and the blind driver both score less, or one with a scripted event."""

    def __post_init__(self) -> None:
        if not 0.0 < self.stride_s <= self.min_spacing_s:
            raise InputError(
                f"BenchmarkConfig needs 0 < stride_s <= min_spacing_s, got {self.stride_s} and {self.min_spacing_s}."
            )
        shares = {name: getattr(self, name) for name in self.__slots__ if not name.endswith("_s")}
        if wrong := {name: value for name, value in shares.items() if not 0.0 <= value <= 1.0}:
            raise InputError(f"BenchmarkConfig: scores and shares lie in 0..1, got {wrong}.")
