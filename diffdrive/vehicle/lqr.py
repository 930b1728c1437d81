"""How the vehicle follows a path: nuPlan's two-part LQR tracker driving the kinematic bicycle, for many paths at once.

Along the path, one LQR step over the whole horizon sets the acceleration. That part never looks at the pose, so it runs first.
Across the path, one LQR step over the same horizon sets the steering rate; its matrices depend on speeds and curvatures alone,
so they are ready for all steps before the last loop, which has few operations left.

K steps | B rows. Everything is float64: the fits are too ill-conditioned for less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diffdrive.contracts import Axes, InputError
from diffdrive.vehicle.angles import wrap_angle
from diffdrive.vehicle.bicycle import BicycleModel
from diffdrive.vehicle.reference_profile import fit_curvatures, fit_velocities
from diffdrive.vehicle.state import (
    ACCELERATION_X,
    HEADING,
    STATE_SIZE,
    STEERING,
    STEERING_RATE,
    VELOCITY_X,
    YAW_ACCELERATION,
    YAW_RATE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """The constants of the tracker. The defaults are nuPlan's as NAVSIM uses them."""

    horizon: int = 10
    """Steps that a command is planned for."""

    speed_weight: float = 10.0
    """Cost of a squared speed error (m/s) at the end of the horizon, against one of a squared acceleration."""

    lateral_weight: float = 1.0
    """Cost of a squared lateral error (m) at the end of the horizon, against one of a squared steering rate."""

    heading_weight: float = 10.0
    """Cost of a squared heading error (radians), likewise."""

    stopping_speed: float = 0.2
    """m/s at which the vehicle and its reference count as stopping: it then brakes gently and leaves the wheel alone."""

    stopping_gain: float = 0.5
    """Deceleration for each m/s above the reference while stopping."""

    acceleration_change_penalty: float = 1e-4
    curvature_rate_penalty: float = 1e-2
    curvature_ridge: float = 1e-10
    """Regularisation of the speed and curvature that are fitted to the reference."""

    textbook_regulariser: bool = False
    """Penalise changes of acceleration, as intended, instead of what NAVSIM's matrix penalises."""

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise InputError(f"TrackerSettings.horizon must be 1 step or more, got {self.horizon}.")
        for name in ("speed_weight", "lateral_weight", "heading_weight"):
            if not getattr(self, name) >= 0:
                raise InputError(f"TrackerSettings.{name} must be zero (do not care) or positive, got {getattr(self, name)}.")
        for name in ("acceleration_change_penalty", "curvature_rate_penalty", "curvature_ridge"):
            if not getattr(self, name) > 0:
                raise InputError(
                    f"TrackerSettings.{name} must be positive or the fit has no answer, got {getattr(self, name)}."
                )


NUPLAN_TRACKER = TrackerSettings()
NUPLAN_BICYCLE = BicycleModel()


def track(
    ego_states: Tensor,
    references: Tensor,
    settings: TrackerSettings = NUPLAN_TRACKER,
    bicycle: BicycleModel = NUPLAN_BICYCLE,
) -> Tensor:
    """States [..., K + 1, 11] of a vehicle that starts in ``ego_states`` [..., 11] and follows poses [..., K + 1, 3].

    Both in one planar frame, the poses ``bicycle.interval_s`` apart from the present on. Columns as in ``vehicle.state``; row 0
    is the given state. No gradients flow. Raises ``InputError`` for other shapes or fewer than two steps.
    """
    axes = Axes("track")
    axes.check("references", references, "... P 3")
    axes.check("ego_states", ego_states, f"... {STATE_SIZE}")
    num_poses, rows = references.shape[-2], references.shape[:-2]
    if ego_states.shape[:-1] != rows or num_poses < 3:
        raise InputError(
            f"track needs one ego state a reference and references of 3 poses or more, got ego_states {list(ego_states.shape)} "
            f"and references {list(references.shape)}."
        )
    with torch.no_grad():
        initial = ego_states.reshape(-1, STATE_SIZE).T.to(torch.float64)
        # [P, 3, B]: a step is one contiguous block.
        poses = references.reshape(-1, num_poses, 3).permute(1, 2, 0).to(torch.float64).contiguous()
        states = _track_rows(initial, poses, settings, bicycle)
        return states.permute(2, 0, 1).reshape(*rows, num_poses, STATE_SIZE).contiguous()


def _track_rows(initial: Tensor, poses: Tensor, settings: TrackerSettings, bicycle: BicycleModel) -> Tensor:
    """States [K + 1, 11, B] from the initial ones [11, B] along poses [K + 1, 3, B]."""
    headings = poses[:-1, 2]
    directions = torch.stack([headings.cos(), headings.sin()], dim=1)
    velocities = fit_velocities(
        poses[:, :2],
        directions,
        bicycle.interval_s,
        penalty=settings.acceleration_change_penalty,
        textbook=settings.textbook_regulariser,
    )
    curvatures = fit_curvatures(
        poses[:, 2],
        velocities,
        bicycle.interval_s,
        rate_penalty=settings.curvature_rate_penalty,
        ridge=settings.curvature_ridge,
    )
    states = initial.new_zeros(len(poses), *initial.shape)
    states[0] = initial
    commands, is_stopping = _drive_along(states, velocities, settings, bicycle)
    law = _SteeringLaw.of(states[:-1, VELOCITY_X], commands, curvatures, is_stopping, settings, bicycle)
    _drive_across(states, poses, directions, law, bicycle)
    return states


def _drive_along(states: Tensor, velocities: Tensor, settings: TrackerSettings, bicycle: BicycleModel) -> tuple[Tensor, Tensor]:
    """Fill speeds and accelerations of ``states`` [K + 1, 11, B]. Returns the commanded accelerations and whether the vehicle
    was stopping, both [K, B]."""
    steps = len(velocities)
    targets = velocities[torch.arange(steps, device=velocities.device).add_(settings.horizon).clamp_(max=steps - 1)]
    # Stopping needs both speeds low; a threshold of minus infinity says that the reference's is not.
    low = torch.full_like(targets, settings.stopping_speed).masked_fill_(targets > settings.stopping_speed, -torch.inf)
    reach = settings.horizon * bicycle.interval_s
    pursuit_gain = settings.speed_weight * reach / (settings.speed_weight * reach**2 + 1.0)

    gentle, firm = velocities.new_tensor(settings.stopping_gain), velocities.new_tensor(pursuit_gain)
    commands, is_stopping = torch.empty_like(velocities), torch.empty_like(velocities, dtype=torch.bool)
    gain = torch.empty_like(velocities[0])
    speeds, accelerations = states[:, VELOCITY_X].unbind(), states[:, ACCELERATION_X].unbind()
    rows = zip(targets.unbind(), low.unbind(), commands.unbind(), is_stopping.unbind(), strict=True)
    for step, (target, threshold, command, stopping) in enumerate(rows):
        torch.le(speeds[step], threshold, out=stopping)
        torch.where(stopping, gentle, firm, out=gain)
        torch.sub(target, speeds[step], out=command).mul_(gain)
        torch.lerp(accelerations[step], command, bicycle.acceleration_share, out=accelerations[step + 1])
        torch.add(speeds[step], accelerations[step + 1], alpha=bicycle.interval_s, out=speeds[step + 1])
    return commands, is_stopping


@dataclass(frozen=True, slots=True)
class _SteeringLaw:
    """The steering rate (after the actuator's lag) of every step, as a function of the errors. All [K, B].

    rate = lateral_gain * (lateral + way * heading + steering_to_lateral * steering - lateral_drift)
         + heading_gain * wrap(heading + steering_to_heading * steering - heading_drift)

    The brackets are the errors at the end of the horizon if the wheel were left alone.
    """

    lateral_gain: Tensor
    heading_gain: Tensor
    way: Tensor
    """Metres driven within the horizon."""

    steering_to_lateral: Tensor
    steering_to_heading: Tensor
    lateral_drift: Tensor
    heading_drift: Tensor

    @classmethod
    def of(
        cls,
        speeds: Tensor,
        commands: Tensor,
        curvatures: Tensor,
        is_stopping: Tensor,
        settings: TrackerSettings,
        bicycle: BicycleModel,
    ) -> _SteeringLaw:
        """From speeds, commanded accelerations and reference curvatures [K, B].

        Runs the linear model through the horizon: lateral += d * heading; heading += d * (steering / wheel base - curvature);
        steering += interval * rate, with the way d of each step at the speed that the command will have led to. The last
        curvature stands for those beyond the end of the reference.
        """
        steps, interval = len(speeds), bicycle.interval_s
        growth = commands * interval
        windows = torch.cat([curvatures, curvatures[-1:].expand(settings.horizon, -1)])
        way, lateral_drift, heading_drift = (torch.zeros_like(speeds) for _ in range(3))
        steering_to_lateral, rate_to_lateral, rate_to_heading = (torch.zeros_like(speeds) for _ in range(3))
        for step in range(settings.horizon):
            piece = torch.add(speeds, growth, alpha=step).mul_(interval)
            steering_to_lateral.addcmul_(piece, way, value=1 / bicycle.wheel_base)
            rate_to_lateral.addcmul_(piece, rate_to_heading)
            lateral_drift.addcmul_(piece, heading_drift)
            way.add_(piece)
            rate_to_heading.add_(piece, alpha=step * interval / bicycle.wheel_base)
            heading_drift.addcmul_(piece, windows[step : step + steps])
        effort = settings.lateral_weight * rate_to_lateral**2 + settings.heading_weight * rate_to_heading**2 + 1.0
        scale = torch.where(is_stopping, 0.0, -bicycle.steering_share / effort)
        return cls(
            lateral_gain=scale * settings.lateral_weight * rate_to_lateral,
            heading_gain=scale * settings.heading_weight * rate_to_heading,
            way=way,
            steering_to_lateral=steering_to_lateral,
            steering_to_heading=way / bicycle.wheel_base,
            lateral_drift=lateral_drift,
            heading_drift=heading_drift,
        )


def _drive_across(states: Tensor, poses: Tensor, directions: Tensor, law: _SteeringLaw, bicycle: BicycleModel) -> None:
    """Fill poses, steering and yaw of ``states`` [K + 1, 11, B] along the reference ``poses`` [K + 1, 3, B]."""
    ways = states[:-1, VELOCITY_X] * bicycle.interval_s
    turns = (ways / bicycle.wheel_base).unbind()
    # What the law adds for each metre, radian and constant, so that a step is one chain of multiply-adds.
    constant = (-law.lateral_gain * law.lateral_drift).unbind()
    east, north = (-law.lateral_gain * directions[:, 1]).unbind(), (law.lateral_gain * directions[:, 0]).unbind()
    error_gain, steering_gain = (law.lateral_gain * law.way).unbind(), (law.lateral_gain * law.steering_to_lateral).unbind()
    heading_gain, steering_to_heading = law.heading_gain.unbind(), law.steering_to_heading.unbind()
    # Heading errors now and at the end of the horizon are wrapped together: both shifted by pi, then modulo, then back.
    targets = torch.stack([poses[:-1, HEADING], poses[:-1, HEADING] + law.heading_drift], dim=1) - math.pi

    positions, headings = states[:, :HEADING].unbind(), states[:, HEADING].unbind()
    steerings, rates = states[:, STEERING].unbind(), states[:, STEERING_RATE].unbind()
    offset, errors, direction = (torch.empty_like(directions[0]) for _ in range(3))
    (aside_x, aside_y), (error, end_error), (cosine, sine) = offset.unbind(), errors.unbind(), direction.unbind()
    tangent = torch.empty_like(error)
    for step, (place, target, way) in enumerate(
        zip(poses[:-1, :HEADING].unbind(), targets.unbind(), ways.unbind(), strict=True)
    ):
        torch.sub(positions[step], place, out=offset)
        torch.sub(headings[step], target, out=errors)
        end_error.addcmul_(steerings[step], steering_to_heading[step])
        errors.remainder_(2 * math.pi).sub_(math.pi)
        rate = torch.addcmul(constant[step], aside_x, east[step], out=rates[step + 1])
        rate.addcmul_(aside_y, north[step]).addcmul_(error, error_gain[step])
        rate.addcmul_(steerings[step], steering_gain[step]).addcmul_(end_error, heading_gain[step])

        torch.cos(headings[step], out=cosine)
        torch.sin(headings[step], out=sine)
        torch.tan(steerings[step], out=tangent)
        torch.addcmul(positions[step], direction, way, out=positions[step + 1])
        torch.addcmul(headings[step], turns[step], tangent, out=headings[step + 1])
        turned = torch.add(steerings[step], rate, alpha=bicycle.interval_s, out=steerings[step + 1])
        turned.clamp_(-bicycle.max_steering, bicycle.max_steering)
    states[1:, HEADING] = wrap_angle(states[1:, HEADING])
    states[1:, YAW_RATE] = bicycle.yaw_rate(states[1:, VELOCITY_X], states[1:, STEERING])
    states[1:, YAW_ACCELERATION] = (states[1:, YAW_RATE] - states[:-1, YAW_RATE]) / bicycle.interval_s
