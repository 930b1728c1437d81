"""Plans that begin where the ones before them ended."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from driven_plans import INTERVAL_S, arc, plan
from tiny_planner import TINY_PLANNER
from vehicle_inputs import CYCLE_US, everything

from diffdrive.contracts import InputError
from diffdrive.diffusion import NoiseSchedule, noise_to_start_at
from diffdrive.model import PlannerModel, planner_config
from diffdrive.runtime.envelope import (
    AskInline,
    EnvelopeConfig,
    EnvelopeCounters,
    PastPlan,
    PastProposals,
    SafePlanner,
    StartKind,
    WarmStart,
    WarmStartConfig,
    driven_on,
)
from diffdrive.runtime.noise import fixed_noise
from diffdrive.runtime.plan import Plan
from diffdrive.scene import DrivingCommand, Observation, Trajectory

CONFIG = WarmStartConfig(num_warm=1, min_cold=2, level=3, max_gap_s=1.0, max_departure_m=1.0)
HALF_S = 500_000
BENDS = (0.0, 0.05, -0.05, 0.1)


def model(**changes: object) -> PlannerModel:
    config = planner_config("nano", {**TINY_PLANNER, **changes})
    anchors = torch.as_tensor(np.stack([arc(bend)[:, :2] for bend in BENDS]), dtype=torch.float32)
    return PlannerModel(config, anchors)


@pytest.fixture(scope="module")
def tiny() -> PlannerModel:
    return model()


def past(*poses: np.ndarray, command: DrivingCommand = DrivingCommand.STRAIGHT) -> PastProposals:
    return PastProposals(poses=np.stack(poses), interval_s=INTERVAL_S, odometry_pose=np.zeros(3), stamp_us=0, command=command)


def begins_at(start: np.ndarray, tiny: PlannerModel) -> np.ndarray:
    """[M, T, 2] metres at which the network begins with noise ``start``."""
    config = tiny.config
    anchors = config.normalizer.normalize(tiny.anchors)
    x_t = config.schedule.add_noise(anchors, torch.as_tensor(start), config.default_jumps.start_level)
    return np.asarray(config.normalizer.denormalize(x_t))


def test_noise_can_lead_anywhere() -> None:
    generator = torch.Generator().manual_seed(0)
    start, anchors = torch.rand((2, 3, 8, 2), generator=generator) * 2 - 1
    schedule = NoiseSchedule()
    noise = noise_to_start_at(start, anchors, 8, schedule)
    torch.testing.assert_close(schedule.add_noise(anchors, noise, 8), start, atol=1e-5, rtol=0)
    assert noise_to_start_at(start, None, 8, schedule) is start


def test_a_plan_is_driven_on_with_its_last_speed_and_yaw_rate() -> None:
    bent = arc(0.05)
    before = PastPlan(trajectory=Trajectory(bent, interval_s=INTERVAL_S), odometry_pose=np.zeros(3), stamp_us=0)
    later = driven_on(before, bent[0], HALF_S)  # where the plan is after half a second
    np.testing.assert_allclose(later.poses, bent, atol=1e-9)  # the same bend again: nothing brakes at its end
    with pytest.raises(InputError, match="ahead of the clock"):
        driven_on(before, np.zeros(3), -1)


def test_the_driven_plan_takes_the_place_of_the_nearest_anchor(tiny: PlannerModel) -> None:
    warm = WarmStart(tiny, CONFIG, seed=5)
    start = warm.start(past(arc(0.045), arc(0.1)), arc(0.045)[0], HALF_S, DrivingCommand.STRAIGHT)
    assert start.kind is StartKind.WARM
    assert start.warm_modes == (1,)
    cold = fixed_noise((1, 4, 8, 2), 5)[0].numpy()
    np.testing.assert_array_equal(np.delete(start.noise, 1, axis=0), np.delete(cold, 1, axis=0))
    normalizer, schedule = tiny.config.normalizer, tiny.config.schedule
    driven = torch.as_tensor(arc(0.045)[:, :2], dtype=torch.float32)
    wanted = normalizer.denormalize(schedule.add_noise(normalizer.normalize(driven), torch.as_tensor(cold[1]), 3))
    np.testing.assert_allclose(begins_at(start.noise, tiny)[1], wanted, atol=1e-3)


def test_more_plans_take_an_anchor_each(tiny: PlannerModel) -> None:
    warm = WarmStart(tiny, WarmStartConfig(num_warm=2, min_cold=2, level=0))
    start = warm.start(past(arc(0.0), arc(0.001), arc(-0.05)), np.array([4.0, 0.0, 0.0]), HALF_S, DrivingCommand.STRAIGHT)
    assert start.warm_modes == (0, 1)


@pytest.mark.parametrize(
    ("place", "now_us", "command", "kind"),
    [
        (np.array([4.0, 1.5, 0.0]), HALF_S, DrivingCommand.STRAIGHT, StartKind.TELEPORT),
        (np.array([4.0, 0.0, 0.0]), 1_100_000, DrivingCommand.STRAIGHT, StartKind.GAP),
        (np.array([4.0, 0.0, 0.0]), -1, DrivingCommand.STRAIGHT, StartKind.GAP),
        (np.array([4.0, 0.0, 0.0]), HALF_S, DrivingCommand.LEFT, StartKind.NEW_COMMAND),
    ],
)
def test_what_makes_a_start_cold(
    tiny: PlannerModel, place: np.ndarray, now_us: int, command: DrivingCommand, kind: StartKind
) -> None:
    start = WarmStart(tiny, CONFIG).start(past(arc()), place, now_us, command)
    assert start.kind is kind
    np.testing.assert_array_equal(start.noise, fixed_noise((1, 4, 8, 2), 0)[0].numpy())


def test_a_warm_start_needs_anchors_and_leaves_some_cold(tiny: PlannerModel) -> None:
    with pytest.raises(InputError, match="Lower num_warm"):
        WarmStart(tiny, WarmStartConfig(num_warm=3, min_cold=2))
    with pytest.raises(InputError, match="has none"):
        WarmStart(model(decoder_kind="unet", prior="noise", num_train_levels=1000))
    with pytest.raises(InputError, match="at least 1"):
        WarmStartConfig(num_warm=0)
    with pytest.raises(InputError, match="positive"):
        WarmStartConfig(max_gap_s=0.0)


class Recorder:
    """Drives straight, and remembers which noise it was given."""

    def __init__(self) -> None:
        self.noises: list[np.ndarray | None] = []

    def plan(self, observation: Observation, /, *, noise: np.ndarray | None = None) -> Plan:
        self.noises.append(noise)
        return plan(arc(0.0, 5.0), arc(0.05, 5.0))


def test_cycles_begin_at_the_plans_before(tiny: PlannerModel) -> None:
    recorder, counters, clock = Recorder(), EnvelopeCounters(), [0]
    warm = WarmStart(tiny, CONFIG)
    safe = SafePlanner(AskInline(planner=recorder), EnvelopeConfig(deadline_s=30.0), now_us=lambda: clock[0], warm_start=warm)
    for _ in range(3):
        clock[0] += CYCLE_US
        counters.add(safe.cycle(everything(clock[0])))
    first, *later = recorder.noises
    np.testing.assert_array_equal(first, warm.cold_noise)
    for noise in later:
        begun = begins_at(noise, tiny)[0]
        assert np.abs(begun[:, 1]).max() < 6.0 and abs(begun[-1, 0] - 20.0) < 6.0  # 5 m/s, and a little noise
    text = counters.prometheus()
    assert 'diffdrive_starts_total{start="FIRST"} 1' in text
    assert 'diffdrive_starts_total{start="WARM"} 2' in text


def test_without_a_warm_start_the_planner_is_not_told_where_to_begin() -> None:
    recorder = Recorder()
    safe = SafePlanner(AskInline(planner=recorder), EnvelopeConfig(deadline_s=30.0), now_us=lambda: CYCLE_US)
    assert safe.cycle(everything(CYCLE_US)).start is None
    assert recorder.noises == [None]
