"""The tracker and the bicycle against a plain loop of matrices, and by their properties."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffdrive.contracts import InputError
from diffdrive.vehicle.bicycle import BicycleModel
from diffdrive.vehicle.lqr import TrackerSettings, track
from diffdrive.vehicle.reference_profile import fit_curvatures, fit_velocities
from diffdrive.vehicle.state import ACCELERATION_X, STATE_SIZE, STEERING, VELOCITY_X, YAW_RATE

DT, BASE, HORIZON = 0.1, 3.089, 10


def _wrapped(angle: float) -> float:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _plain_track(initial: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """[41, 11] by the rules as one would write them down, one row at a time."""
    poses = torch.from_numpy(reference)[..., None]
    ahead = torch.stack([poses[:-1, 2].cos(), poses[:-1, 2].sin()], dim=1)
    speeds = fit_velocities(poses[:, :2], ahead, DT, penalty=1e-4, textbook=False)
    bends = fit_curvatures(poses[:, 2], speeds, DT, rate_penalty=1e-2, ridge=1e-10)[:, 0].numpy()
    targets = speeds[:, 0].numpy()
    rows = [initial]
    for step in range(len(targets)):
        rows.append(_plain_step(rows[-1], reference[step], targets[min(step + HORIZON, 39)], bends, step))
    return np.stack(rows)


def _plain_step(state: np.ndarray, pose: np.ndarray, target: float, bends: np.ndarray, step: int) -> np.ndarray:
    x, y, heading, v, _, a, _, steering, _, yaw_rate, _ = state
    if v <= 0.2 and target <= 0.2:
        command, rate = -0.5 * (v - target), 0.0
    else:
        command = -10.0 / 11.0 * (v - target)
        dx, dy = x - pose[0], y - pose[1]
        z = np.array([dy * np.cos(pose[2]) - dx * np.sin(pose[2]), _wrapped(heading - pose[2]), steering])
        transition, control, drift = np.eye(3), np.zeros(3), np.zeros(3)
        for k in range(HORIZON):
            way = (v + command * DT * k) * DT
            one = np.array([[1, way, 0], [0, 1, way / BASE], [0, 0, 1]])
            transition, control = one @ transition, one @ control + [0, 0, DT]
            drift = one @ drift - [0, way * bends[min(step + k, 39)], 0]
        end = transition @ z + drift
        end[1] = _wrapped(end[1])
        weights = np.diag([1.0, 10.0, 0.0])
        rate = -control @ weights @ end / (control @ weights @ control + 1.0)
    a = a + (command - a) / 3
    new_steering = np.clip(steering + 2 / 3 * DT * rate, -np.pi / 3, np.pi / 3)
    new_v = v + DT * a
    new_yaw_rate = new_v * np.tan(new_steering) / BASE
    return np.array(
        [
            x + DT * v * np.cos(heading),
            y + DT * v * np.sin(heading),
            _wrapped(heading + DT * v * np.tan(steering) / BASE),
            *(new_v, 0.0, a, 0.0, new_steering, 2 / 3 * rate, new_yaw_rate, (new_yaw_rate - yaw_rate) / DT),
        ]
    )


def _ego(speed: float, heading: float = 0.0) -> np.ndarray:
    state = np.zeros(STATE_SIZE)
    state[2:4] = heading, speed
    return state


def _path(speeds: np.ndarray, bends: np.ndarray, heading: float = 0.0) -> np.ndarray:
    headings = heading + np.concatenate([[0.0], np.cumsum(speeds * bends * DT)])
    steps = speeds[:, None] * DT * np.stack([np.cos(headings[:-1]), np.sin(headings[:-1])], axis=1)
    positions = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    return np.column_stack([positions, headings])


def _cases() -> tuple[np.ndarray, np.ndarray]:
    """Egos [B, 11] and paths [B, 41, 3]: usual ones, standing, reversing, jittering, far off, and turned around."""
    rng = np.random.default_rng(4)
    egos, paths = [], []
    for speed in (0.0, 0.1, 0.2, 0.3, 4.0, 15.0):
        for target in (-2.0, 0.0, 0.15, 3.0, 12.0):
            path = _path(np.linspace(speed, target, 40), rng.normal(0, 0.1) * np.ones(40), heading=rng.uniform(-3, 3))
            path[:, :2] += rng.normal(0, 1.0, 2)
            path += rng.normal(0, rng.choice([0.0, 0.05]), path.shape)
            ego = _ego(speed, path[0, 2] + rng.normal(0, rng.choice([0.1, 3.0])))
            ego[4:7] = rng.normal(size=3)
            ego[STEERING] = rng.normal(0, 0.1)
            egos.append(ego)
            paths.append(path)
    return np.stack(egos), np.stack(paths)


def test_equals_the_plain_rules() -> None:
    egos, paths = _cases()
    expected = np.stack([_plain_track(ego, path) for ego, path in zip(egos, paths, strict=True)])
    found = track(torch.from_numpy(egos), torch.from_numpy(paths)).numpy()
    # Close to half a turn, a difference of rounding may wrap the other way: none of these cases lies there.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert np.abs(found[..., STEERING]).max() == pytest.approx(math.pi / 3)


def test_follows_a_straight_line_at_constant_speed_exactly() -> None:
    path = _path(np.full(40, 9.0), np.zeros(40), heading=0.7)
    states = track(torch.from_numpy(_ego(9.0, 0.7)), torch.from_numpy(path)).numpy()
    np.testing.assert_allclose(states[:, :3], path, atol=1e-10)
    np.testing.assert_allclose(states[:, VELOCITY_X], 9.0, atol=1e-10)


def test_a_standing_vehicle_stays_whatever_the_headings_say() -> None:
    path = np.zeros((41, 3))
    path[:, 2] = np.random.default_rng(5).normal(size=41)
    states = track(torch.from_numpy(_ego(0.0)), torch.from_numpy(path))
    assert torch.equal(states, torch.zeros(41, STATE_SIZE, dtype=torch.float64))


def test_returns_to_a_curve() -> None:
    path = _path(np.full(40, 8.0), np.full(40, 0.04))
    ego = _ego(8.0)
    ego[1] = 0.5
    states = track(torch.from_numpy(ego), torch.from_numpy(path)).numpy()
    # Nothing pulls the vehicle forward to its place, only sideways: look at the distance to the circle.
    to_centre = np.hypot(states[:, 0], states[:, 1] - 25.0)
    assert to_centre[0] == pytest.approx(24.5) and to_centre[-1] == pytest.approx(25.0, abs=0.1)
    assert states[20:, YAW_RATE].mean() == pytest.approx(8.0 * 0.04, rel=0.1)


@pytest.mark.parametrize(("speed", "gain"), [(0.2, 0.5), (0.2 + 1e-9, 10 / 11)])
def test_stopping_begins_at_the_threshold_itself(speed: float, gain: float) -> None:
    states = track(torch.from_numpy(_ego(speed)), torch.zeros(41, 3, dtype=torch.float64))
    assert float(states[1, ACCELERATION_X]) == pytest.approx(-gain * speed / 3, rel=1e-6)


def test_the_reference_speed_is_a_second_ahead() -> None:
    """Ten steps; the last one stands for those beyond the end."""
    speeds = np.where(np.arange(40) < 20, 5.0, 8.0)
    path = _path(speeds, np.zeros(40))
    states = track(torch.from_numpy(_ego(5.0)), torch.from_numpy(path)).numpy()
    assert np.abs(np.diff(states[:8, VELOCITY_X])).max() < 0.05
    assert states[20, VELOCITY_X] > 6.5


def test_a_step_moves_by_the_speed_and_steering_before_it() -> None:
    ego = _ego(6.0, 0.2)
    ego[STEERING] = 0.1
    states = track(torch.from_numpy(ego), torch.from_numpy(_path(np.full(40, 10.0), np.zeros(40)))).numpy()
    assert states[1, 0] == 0.1 * 6.0 * np.cos(0.2)
    assert states[1, 2] == pytest.approx(0.2 + 0.1 * 6.0 * np.tan(0.1) / BASE, abs=1e-15)
    assert states[1, VELOCITY_X] > 6.0
    assert states[1, YAW_RATE] == pytest.approx(states[1, VELOCITY_X] * np.tan(states[1, STEERING]) / BASE, abs=1e-15)


def test_the_first_row_is_given_and_sideways_motion_ends_there() -> None:
    egos, paths = (torch.from_numpy(array) for array in _cases())
    states = track(egos, paths)
    assert torch.equal(states[:, 0], egos)
    assert not states[:, 1:, [4, 6]].any()


@settings(max_examples=25, deadline=None)
@given(st.floats(-math.pi, math.pi), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_does_not_depend_on_the_frame(turn: float, east: float, north: float) -> None:
    path = _path(np.linspace(6.0, 9.0, 40), np.linspace(0.0, 0.08, 40))
    ego = _ego(5.0, 0.1)
    ego[1] = 0.3

    def moved(poses: np.ndarray) -> np.ndarray:
        c, s = np.cos(turn), np.sin(turn)
        x, y = poses[..., 0], poses[..., 1]
        return np.stack([c * x - s * y + east, s * x + c * y + north, poses[..., 2] + turn], axis=-1)

    before = track(torch.from_numpy(ego), torch.from_numpy(path)).numpy()
    after = track(torch.from_numpy(np.concatenate([moved(ego[:3]), ego[3:]])), torch.from_numpy(moved(path))).numpy()
    np.testing.assert_allclose(after[:, :2], moved(before[:, :3])[:, :2], atol=1e-9)
    np.testing.assert_allclose(np.sin((after[:, 2] - before[:, 2] - turn) / 2), 0.0, atol=1e-9)
    np.testing.assert_allclose(after[:, 3:], before[:, 3:], atol=1e-8)


def test_a_batch_equals_its_parts() -> None:
    egos, paths = (torch.from_numpy(array) for array in _cases())
    together = track(egos.reshape(3, -1, STATE_SIZE), paths.reshape(3, -1, 41, 3)).reshape(-1, 41, STATE_SIZE)
    apart = torch.stack([track(ego, path) for ego, path in zip(egos, paths, strict=True)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-10)


def test_works_in_inference_mode_and_afterwards_with_gradients() -> None:
    egos, paths = (torch.from_numpy(array) for array in _cases())
    with torch.inference_mode():
        inside = track(egos, paths)
    outside = track(egos, paths.clone().requires_grad_())
    assert torch.equal(inside, outside) and not outside.requires_grad


def test_single_precision_input_is_simulated_in_double() -> None:
    egos, paths = (torch.from_numpy(array).to(torch.float32) for array in _cases())
    assert torch.equal(track(egos, paths), track(egos.double(), paths.double()))


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="one ego state a reference"):
        track(torch.zeros(2, STATE_SIZE), torch.zeros(3, 41, 3))
    with pytest.raises(InputError, match="3 poses or more"):
        track(torch.zeros(STATE_SIZE), torch.zeros(2, 3))
    with pytest.raises(InputError, match="ego_states"):
        track(torch.zeros(3, 7), torch.zeros(3, 41, 3))


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="wheel_base"):
        BicycleModel(wheel_base=0.0)
    with pytest.raises(InputError, match="steering_lag_s"):
        BicycleModel(steering_lag_s=-1.0)
    with pytest.raises(InputError, match="horizon"):
        TrackerSettings(horizon=0)
    with pytest.raises(InputError, match="heading_weight"):
        TrackerSettings(heading_weight=-1.0)
    with pytest.raises(InputError, match="curvature_ridge"):
        TrackerSettings(curvature_ridge=0.0)


def test_without_lag_commands_take_effect_at_once() -> None:
    prompt = BicycleModel(acceleration_lag_s=0.0)
    states = track(torch.from_numpy(_ego(5.0)), torch.zeros(41, 3, dtype=torch.float64), bicycle=prompt)
    assert float(states[1, ACCELERATION_X]) == pytest.approx(-10 / 11 * 5.0)
