"""The envelope as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffdrive.configuration import load_yaml, to_mapping
from diffdrive.contracts import InputError
from diffdrive.runtime.envelope import Braking, EnvelopeConfig, InputLimits, load_envelope_config

SHIPPED = Path(__file__).resolve().parents[3] / "configs" / "vehicle" / "envelope.yaml"


def test_the_shipped_file_holds_every_default() -> None:
    assert load_yaml(SHIPPED) == to_mapping(EnvelopeConfig())
    assert load_envelope_config(SHIPPED) == load_envelope_config() == EnvelopeConfig()


def test_overrides_reach_every_level() -> None:
    config = load_envelope_config(SHIPPED, ["inputs.camera.max_age_s=0.2", "limits.max_curvature=0.1", "deadline_s=0.05"])
    assert (config.inputs.camera.max_age_s, config.limits.max_curvature, config.deadline_s) == (0.2, 0.1, 0.05)


def test_what_a_file_does_not_name_keeps_its_default(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text("inputs: {camera: {max_age_s: 0.2}}\n")
    config = load_envelope_config(tmp_path / "short.yaml", ["emergency.deceleration=7"])
    assert config.inputs.camera == InputLimits(max_age_s=0.2, max_frozen_s=0.5)
    assert config.inputs.lidar == EnvelopeConfig().inputs.lidar
    assert config.emergency == Braking(deceleration=7.0, jerk=EnvelopeConfig().emergency.jerk)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["limits.max_curvatur=0.1"], "max_curvatur"),
        (["deadline_s=0"], "must be positive"),
        (["max_path_age_s=0.1"], "outlives"),
        (["selection.margin=2"], "between 0 and 1"),
        (["inputs.camera.max_age_s=-1"], "must be positive"),
        (["limits.max_jerk=.nan"], "must be positive"),
    ],
)
def test_limits_that_make_no_sense_are_errors(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_envelope_config(SHIPPED, overrides)
