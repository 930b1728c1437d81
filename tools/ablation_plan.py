"""What an ablation consists of: rows (a variant, its seeds, the jump tables it is measured with), read from one YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from diffdrive.configuration import build, load_yaml
from diffdrive.contracts import InputError
from diffdrive.training.config import DecoderStageConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the paper's table gives for a row; None where it does not. Scores in percent, as printed."""

    table: int
    pdms: float | None = None
    diversity: float | None = None
    params_m: float | None = None
    note: str = ""
    """How the published row differs from this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    title: str
    variant: Path = Path()
    """A run file, relative to the plan's own."""

    planner: Path | None = None
    """A folder, likewise: an exported planner that is measured as it is, in place of one that is trained. It must see with
    ``perception``."""

    seeds: tuple[int, ...] = (0,)
    jumps: str | None = None
    """The jump table it is measured with; None: the variant's own."""

    trained_as: str | None = None
    """The name of another row with the same weights: only the jumps differ."""

    perception: str = "shared"
    """Which perception it decodes from: a name in ``AblationPlan.perceptions``."""

    compared_with: str | None = None
    """The name of the row that it is compared with; None: the plan's baseline."""

    published: Published | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationPlan:
    """All rows and what they share."""

    scenes: str
    """Run file (relative to the plan's own) that says which scenes are trained on and which validate."""

    perceptions: dict[str, str]
    """What the decoders are trained on: folders of exported planners, or run files of end-to-end trainings (.yaml). Both
    relative to the plan's own folder."""

    decoder: DecoderStageConfig
    """The same for every row: steps, batch size, learning rate."""

    rows: tuple[Row, ...]
    baseline: str
    """The row that others are compared with, scene by scene."""

    perception_seeds: int = 1
    """How many trainings of each perception there are; the seeds of the decoders take them in turn."""

    folder: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        if self.perception_seeds < 1:
            raise InputError(f"AblationPlan.perception_seeds must be at least 1, got {self.perception_seeds}.")
        names = [row.name for row in self.rows]
        if len(set(names)) != len(names):
            raise InputError(f"Ablation rows need names of their own, got {', '.join(sorted(names))}.")
        for row in self.rows:
            if row.perception not in self.perceptions:
                known = ", ".join(self.perceptions)
                raise InputError(f"Row '{row.name}' names the perception '{row.perception}'. Known: {known}.")
            if row.trained_as is not None and row.trained_as not in names:
                raise InputError(f"Row '{row.name}' takes the weights of '{row.trained_as}', which is not a row.")
            if (row.variant == Path()) == (row.planner is None):
                raise InputError(f"Row '{row.name}' must name either a variant, which is trained, or a planner, which is not.")
            if row.compared_with is not None and row.compared_with not in names:
                raise InputError(f"Row '{row.name}' is compared with '{row.compared_with}', which is not a row.")
        if self.baseline not in names:
            raise InputError(f"The baseline '{self.baseline}' is not a row. Rows: {', '.join(names)}.")

    def path(self, name: Path | str) -> Path:
        """Of a file that the plan names."""
        return self.folder / name

    def is_trained(self, perception: str) -> bool:
        """Whether the ablation trains this perception itself."""
        return self.perceptions[perception].endswith(".yaml")

    def row(self, name: str) -> Row:
        """The row called ``name``."""
        return next(row for row in self.rows if row.name == name)

    @property
    def trainings(self) -> tuple[tuple[Row, int], ...]:
        """Every (row, seed) whose decoder is trained, first seeds first: a run that is stopped early has all rows once."""
        own = [row for row in self.rows if row.trained_as is None and row.planner is None]
        seeds = sorted({seed for row in own for seed in row.seeds})
        return tuple((row, seed) for seed in seeds for row in own if seed in row.seeds)

    def perception_run(self, row: Row, seed: int) -> tuple[str, int]:
        """The perception, and which training of it, that ``row``'s decoder of this seed decodes from."""
        return row.perception, seed % self.perception_seeds if self.is_trained(row.perception) else 0

    @property
    def perception_runs(self) -> tuple[tuple[str, int], ...]:
        """Every training of a perception that some decoder needs, in the order of the trainings."""
        return tuple(dict.fromkeys(self.perception_run(row, seed) for row, seed in self.trainings))


def load_plan(path: Path) -> AblationPlan:
    """Read ``path``. Raises ``InputError`` for a missing file, unknown keys and rows that contradict each other."""
    return build(AblationPlan, {**load_yaml(path), "folder": str(path.parent)})
