"""What a film shows of a drive: the plan where it lies on the ground, and the facts in words."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from diffdrive.geometry import to_world
from diffdrive.scene import Trajectory
from diffdrive.simulation.crowd import Crowd
from diffdrive.simulation.drivers import Drive
from diffdrive.simulation.episode import Moment
from diffdrive.simulation.infractions import Infraction, InfractionKind
from diffdrive.simulation.route import Route
from diffdrive.simulation.stage import Stage, StageFiles
from diffdrive.simulation.trace import Trace, follow
from diffdrive.simulation.traffic import Traffic
from diffdrive.simulation.video import picture_of
from diffdrive.simulation.view import View


def test_a_plan_stays_where_it_lies_while_the_ego_drives_along_it(staged: tuple[Stage, StageFiles]) -> None:
    stage, files = staged
    start = stage.starts[0]
    with Traffic(stage, files, start, 10) as traffic:
        briefing = traffic.begin()
    crowd, trace, view = Crowd(stage, start.ego, briefing), Trace(start, Route(start)), View(stage, start)
    lights = crowd.lights(briefing.frames[-1])
    trace.see(crowd.agents, lights)
    scene = view.scene(trace, 0)
    ways = 4.0 * 0.1 * np.arange(1, 41)
    plan = Trajectory(np.column_stack([ways, np.zeros(40), np.zeros(40)]), 0.1)
    for state in follow(trace.state, plan, trace.timestamp_us(0))[:7]:
        trace.move(state)
        trace.see(crowd.agents, lights)
    wrong = Infraction(kind=InfractionKind.RED_LIGHT, time_s=0.3, token="1")
    drive = Drive(trajectory=plan, proposals=np.array(plan.poses[None]), scores=np.ones(1))
    moment = Moment(trace=trace, view=view, scene=scene, drive=drive, infractions=(wrong,))
    picture = picture_of(moment, "a drive", end=("It is over.",))
    chosen, proposals = picture.overlay.chosen, picture.overlay.proposals
    assert chosen is not None
    assert proposals is not None
    # 0.7 s on, the dots at 1.0, 1.5 ... 4.0 s are left.
    assert chosen.num_poses == 7
    here, then = picture.scene.world_from_ego, scene.world_from_ego
    np.testing.assert_allclose(to_world(chosen.poses, here), to_world(plan.poses[9::5], then), atol=1e-9)
    np.testing.assert_allclose(to_world(proposals[0], here), to_world(plan.poses, then), atol=1e-9)
    said = [line.text for line in picture.words]
    assert said[0] == "a drive"
    assert "0.7 s" in said[1]
    assert "0.3 s: red light" in said
    assert said[-1] == "It is over."
    assert picture.cameras == []
    assert len(picture.speeds) == 8
