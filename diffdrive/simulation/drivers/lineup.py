"""Drivers by name: ``network``, ``network:envelope``, ``network:envelope:warm``, ``pdm_closed``, ``idm`` and so on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from diffdrive.contracts import InputError
from diffdrive.model import PlannerModel
from diffdrive.model.checkpoint import WEIGHTS_FILE, load_checkpoint
from diffdrive.runtime import Planner, make_engine
from diffdrive.runtime.envelope import WarmStart
from diffdrive.simulation.drivers.idm import IdmDriver
from diffdrive.simulation.drivers.network import EnvelopedDriver, NetworkDriver
from diffdrive.simulation.drivers.protocol import Driver
from diffdrive.simulation.drivers.yardsticks import ConstantVelocityDriver, HumanDriver, PdmClosedDriver
from diffdrive.simulation.stage import Start

NETWORK = "network"
OPTIONS = ("envelope", "warm")
"""Of the network: inside the envelope; beginning its plans at the plans before."""

DRIVERS = (NETWORK, "pdm_closed", "idm", "constant_velocity", "human")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverName:
    """A driver and how it drives."""

    kind: str
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> DriverName:
        """From ``kind`` or ``kind:option``, with dashes or underscores. Raises ``InputError`` for words that name nothing."""
        kind, *options = text.replace("-", "_").split(":")
        if kind not in DRIVERS:
            raise InputError(f"There is no driver '{kind}'. Known drivers: {', '.join(DRIVERS)}.")
        if unknown := [option for option in options if option not in OPTIONS or kind != NETWORK]:
            raise InputError(
                f"Driver '{kind}' has no option '{unknown[0]}'. Known: {', '.join(f'{NETWORK}:{name}' for name in OPTIONS)}."
            )
        return cls(kind=kind, options=tuple(name for name in OPTIONS if name in options))

    def __str__(self) -> str:
        return ":".join([self.kind, *self.options])


@dataclass(frozen=True, slots=True)
class _Network:
    planner: Planner
    model: PlannerModel


class Lineup:
    """Makes drivers, and keeps the network that they share."""

    def __init__(self, checkpoint: Path | None = None) -> None:
        self._checkpoint = checkpoint
        self._network: _Network | None = None

    def driver(self, name: DriverName, start: Start) -> Driver:
        """A fresh one for the drive from ``start``. Raises ``InputError`` as ``check`` does."""
        if name.kind == NETWORK:
            network = self._loaded()
            warm_start = WarmStart(network.model) if "warm" in name.options else None
            make = EnvelopedDriver if "envelope" in name.options else NetworkDriver
            return make(network.planner, warm_start)
        if name.kind == "human":
            return HumanDriver(start)
        makers: dict[str, type[PdmClosedDriver | IdmDriver | ConstantVelocityDriver]] = {
            "pdm_closed": PdmClosedDriver,
            "idm": IdmDriver,
            "constant_velocity": ConstantVelocityDriver,
        }
        return makers[name.kind]()

    def check(self, name: DriverName) -> None:
        """Raise ``InputError`` for a checkpoint that cannot be read or does not fit, and for one that cannot begin warm."""
        if name.kind == NETWORK:
            network = self._loaded()
            if "warm" in name.options:
                WarmStart(network.model)

    def checkpoint_digest(self, name: DriverName) -> str:
        """Of the weights of the network; '' for a driver without. Raises ``InputError`` where there are none."""
        if name.kind != NETWORK:
            return ""
        weights = self._folder() / WEIGHTS_FILE
        if not weights.is_file():
            raise InputError(f"Checkpoint '{weights.parent}' has no {WEIGHTS_FILE}. Give the folder of a trained planner.")
        return hashlib.sha256(weights.read_bytes()).hexdigest()[:12]

    def _folder(self) -> Path:
        if self._checkpoint is None:
            raise InputError(f"Driver '{NETWORK}' needs the folder of a checkpoint, got none.")
        return self._checkpoint

    def _loaded(self) -> _Network:
        if self._network is None:
            model = load_checkpoint(self._folder())
            planner = Planner(make_engine("eager", model))
            planner.warm_up()
            self._network = _Network(planner, model)
        return self._network
