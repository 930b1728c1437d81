"""The reader's way to move the car: one trajectory, one step and one rule at a time, in numpy.

This is the second opinion on ``diffdrive.vehicle`` and ``diffdrive.scoring.simulation``; it shares no code with them.
"""

from __future__ import annotations

import numpy as np

DT, NUM_STEPS = 0.1, 41
FRONT, REAR, HALF_WIDTH, CENTER, WHEEL_BASE = 4.049, 1.127, 2.297 / 2, 1.461, 3.089
HORIZON = 10


def wrap(angle: np.ndarray | float) -> np.ndarray | float:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def interpolate(start: np.ndarray, timestamp_us: int, poses: np.ndarray, interval_s: float = 0.5) -> np.ndarray:
    """[41, 3] the ego poses [T, 3] relative to ``start`` [3], in the scene's frame, at 0, 0.1, ... 4 s.

    All times pass through whole microseconds of the epoch, cut and not rounded, so a query can miss its knot by one.
    """
    cos, sin = np.cos(start[2]), np.sin(start[2])
    x = start[0] + cos * poses[:, 0] - sin * poses[:, 1]
    y = start[1] + sin * poses[:, 0] + cos * poses[:, 1]
    time_s = timestamp_us * 1e-6
    after = (np.arange(len(poses)) * interval_s + interval_s + time_s) * 1e6
    knots = np.array([timestamp_us, *(int(t) for t in after)])
    queries = np.array([int(t) for t in (np.arange(NUM_STEPS) * DT + time_s) * 1e6])
    queries = np.clip(queries, knots[0], knots[-1]) - timestamp_us
    headings = np.unwrap([start[2], *(start[2] + poses[:, 2])])
    columns = [np.array([start[0], *x]), np.array([start[1], *y]), headings]
    return np.stack([np.interp(queries, knots - timestamp_us, column) for column in columns], axis=-1)


def velocity_profile(reference: np.ndarray) -> np.ndarray:
    """[40] the speeds that explain the steps of ``reference`` [41, 3] and change slowly.

    Unknown: the first speed and 39 accelerations. The penalty is meant for the change of acceleration. In NAVSIM it falls on
    the accelerations themselves, but the last two.
    """
    steps, count = np.diff(reference[:, :2], axis=0), NUM_STEPS - 1
    model = np.zeros((2 * count, count))
    for i in range(count):
        direction = np.array([np.cos(reference[i, 2]), np.sin(reference[i, 2])])
        model[2 * i : 2 * i + 2, 0] = DT * direction
        for j in range(i):
            model[2 * i : 2 * i + 2, 1 + j] = DT * DT * direction
    penalty = np.zeros((count - 2, count))
    for i in range(count - 2):
        penalty[i, 1 + i] = -1
    penalty[-1, count - 1] = 1
    solution = np.linalg.pinv(model.T @ model + 1e-4 * penalty.T @ penalty) @ model.T @ steps.reshape(-1)
    return np.array([solution[0] + DT * solution[1 : 1 + i].sum() for i in range(count)])


def curvature_profile(reference: np.ndarray, speeds: np.ndarray) -> np.ndarray:
    """[40] the curvatures that explain the heading steps of ``reference`` [41, 3] at ``speeds`` [40]."""
    turns, count = wrap(np.diff(reference[:, 2])), NUM_STEPS - 1
    model = np.zeros((count, count))
    for i in range(count):
        model[i, 0] = DT * speeds[i]
        model[i, 1 : 1 + i] = DT * DT * speeds[i]
    penalty = np.diag([1e-10, *([1e-2] * (count - 1))])
    solution = np.linalg.pinv(model.T @ model + penalty) @ model.T @ turns
    return np.array([solution[0] + DT * solution[1 : 1 + i].sum() for i in range(count)])


def command(
    state: np.ndarray, target: np.ndarray, speeds: np.ndarray, curvatures: np.ndarray, step: int
) -> tuple[float, float]:
    """Acceleration and steering rate that bring ``state`` [11] back to the pose ``target`` [3] of ``step``."""
    x, y, heading, speed, steering = (*state[:4], state[7])
    wanted = speeds[min(step + HORIZON, len(speeds) - 1)]
    if wanted <= 0.2 and speed <= 0.2:
        return -0.5 * (speed - wanted), 0.0
    acceleration = -10 / 11 * (speed - wanted)
    lateral = -np.sin(target[2]) * (x - target[0]) + np.cos(target[2]) * (y - target[1])
    # How the errors grow in ten steps if nothing is done (z), and what a steering rate of one adds to them (gain).
    z, gain = np.array([lateral, wrap(heading - target[2]), steering]), np.zeros(3)
    for k in range(HORIZON):
        v = speed + acceleration * DT * k
        move = np.array([[1, v * DT, 0], [0, 1, v * DT / WHEEL_BASE], [0, 0, 1]])
        curvature = curvatures[min(step + k, len(curvatures) - 1)]
        z = move @ z + np.array([0, -v * DT * curvature, 0])
        gain = move @ gain + np.array([0, 0, DT])
    z[1:] = wrap(z[1:])
    weights = np.diag([1.0, 10.0, 0.0])
    return acceleration, float(-(gain @ weights @ z) / (gain @ weights @ gain + 1))


def moved(state: np.ndarray, acceleration: float, steering_rate: float) -> np.ndarray:
    """[11] the state 0.1 s later: a bicycle whose motor and steering follow with a delay, explicit Euler."""
    x, y, heading, speed, _, old_acceleration, _, steering, _, yaw_rate, _ = state
    new_acceleration = old_acceleration + (acceleration - old_acceleration) / 3
    delayed_rate = 2 / 3 * steering_rate
    new_steering = float(np.clip(steering + DT * delayed_rate, -np.pi / 3, np.pi / 3))
    new_speed = speed + DT * new_acceleration
    new_yaw_rate = new_speed * np.tan(new_steering) / WHEEL_BASE
    return np.array(
        [
            x + DT * speed * np.cos(heading),
            y + DT * speed * np.sin(heading),
            wrap(heading + DT * speed * np.tan(steering) / WHEEL_BASE),
            new_speed,
            0.0,
            new_acceleration,
            0.0,
            new_steering,
            delayed_rate,  # as asked for: the stop of the steering does not cut it
            new_yaw_rate,
            (new_yaw_rate - yaw_rate) / DT,
        ]
    )


def simulate(ego_state: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """[41, 11] how the car follows ``reference`` [41, 3] from ``ego_state`` [11]."""
    speeds = velocity_profile(reference)
    curvatures = curvature_profile(reference, speeds)
    states = [np.asarray(ego_state, dtype=np.float64)]
    for step in range(NUM_STEPS - 1):
        states.append(moved(states[-1], *command(states[-1], reference[step], speeds, curvatures, step)))
    return np.array(states)


def body(states: np.ndarray) -> np.ndarray:
    """[T, 5, 2] front left, rear left, rear right and front right corner, and the centre, of ``states`` [T, 3 or more]."""
    offsets = [(FRONT, HALF_WIDTH), (-REAR, HALF_WIDTH), (-REAR, -HALF_WIDTH), (FRONT, -HALF_WIDTH), (CENTER, 0.0)]
    points = np.zeros((len(states), 5, 2))
    for t, (x, y, heading) in enumerate(states[:, :3]):
        for i, (ahead, left) in enumerate(offsets):
            points[t, i, 0] = x + np.cos(heading) * ahead - np.sin(heading) * left
            points[t, i, 1] = y + np.sin(heading) * ahead + np.cos(heading) * left
    return points
