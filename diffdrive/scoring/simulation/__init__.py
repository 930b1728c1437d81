"""From a planned trajectory to how the vehicle would drive it, as NAVSIM simulates it.

Reproduced to the letter, odd as it is. The tests lie in ``tests/unit``: R in ``scoring/test_simulation_references.py``, P in
``vehicle/test_reference_profile.py``, V in ``vehicle/test_tracker.py``; ``scoring/test_simulation_golden.py`` compares all
of it together with official states.

- Times pass through floating-point seconds since the epoch and are cut to microseconds: samples lie up to one too early.
  R: ``test_times_lose_a_microsecond_where_the_devkits_do``
- Microseconds become seconds by multiplication with 1e-6, not by division.
  R: ``test_microseconds_are_multiplied_into_seconds``
- A sample before the present or after the last pose is moved there.
  R: ``test_a_first_sample_before_the_present_is_the_present``, ``test_a_last_sample_after_the_last_pose_is_that_pose``
- The regulariser of the speed profile lacks most of its upper diagonal: it pulls accelerations to zero, not to each other.
  The one thing here that ``corrected`` repairs.
  P: ``test_only_the_textbook_regulariser_leaves_a_constant_acceleration_alone``
- At a standstill the curvature hangs on a ridge of 1e-10.
  P: ``test_curvature_at_a_creep_is_what_the_ridge_says``
- The speed aimed at is the reference's a second ahead (near the end, its last); nothing pulls the vehicle forward to its place.
  V: ``test_the_reference_speed_is_a_second_ahead``
- At 0.2 m/s and below, own and aimed at, the vehicle brakes at half the excess and leaves the wheel alone.
  V: ``test_stopping_begins_at_the_threshold_itself``
- The steering command plans with curvatures that repeat the last one beyond the end, and wraps the heading error at the end of
  its horizon.
  V: ``test_equals_the_plain_rules``
- Poses advance by the speed, heading and steering before the step; yaw rates follow from those after it.
  V: ``test_a_step_moves_by_the_speed_and_steering_before_it``
- Sideways velocity and acceleration are kept in the first state and zero in all others, whatever the turn.
  V: ``test_the_first_row_is_given_and_sideways_motion_ends_there``
"""

from diffdrive.scoring.simulation.references import interpolate_references
from diffdrive.scoring.simulation.simulate import simulate

__all__ = ["interpolate_references", "simulate"]
