"""Write drives of the embedded world as bags: ``python -m diffdrive_agents.ros2.record_world LOG ... OUT``.

A bag is what the vehicle would have recorded: camera images, their calibration, point clouds, odometry, acceleration, turn
indicators and static transforms, on the topics of the parameter file. Sensors are rendered.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path
from typing import Protocol

from diffdrive.assets import LOGS
from diffdrive.contracts import InputError
from diffdrive.scene import Scene
from diffdrive.world.source import WorldSource

from .bag_types import make_bag_message
from .bags import BagWriter
from .config import DEFAULT_PARAMS, BridgeConfig, config_from_file
from .scene_messages import mounting_message, scene_messages
from .topics import subscriptions


class LoadsScenes(Protocol):
    """Where scenes come from: a ``SceneSource``, or what stands in for one."""

    def load(self, token: str, /) -> Scene: ...


def record(source: LoadsScenes, tokens: list[str], target: Path, config: BridgeConfig) -> int:
    """Write the presents of the scenes ``tokens``, in the order of time, as the bag ``target``; returns the number of messages.

    Messages are recorded at the time of their stamps. Raises ``InputError`` as the source does, and where ``target`` is there.
    """
    count = 0
    with BagWriter(target) as writer:
        writer.add_topics(subscriptions(config))
        for index, token in enumerate(tokens):
            scene = source.load(token)
            time_ns = scene.observation.ego.timestamp_us * 1000
            if index == 0:
                writer.write(config.inputs.static_transforms, mounting_message(make_bag_message, scene, config), time_ns)
            for topic, message in scene_messages(make_bag_message, scene, config):
                writer.write(topic, message, time_ns)
                count += 1
    return count


def main(arguments: list[str]) -> None:
    """The command. Ends with a message where an argument is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m diffdrive_agents.ros2.record_world", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="names of logs, e.g. town9000-log00")
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder, in which each log becomes a bag of its name")
    parser.add_argument("--data", type=Path, default=LOGS, help="a 123D data root; default: the logs that ship with diffdrive")
    parser.add_argument("--cache", type=Path, default=None, help="a folder for rendered sensors")
    parser.add_argument("--seconds", type=float, default=None, help="so much of each log; default: all of it")
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between frames; default: 0.1")
    parser.add_argument("--params", type=Path, default=DEFAULT_PARAMS, help="a ROS parameter file: topics, compression")
    given = parser.parse_args(arguments)
    try:
        config = config_from_file(given.params)
        for name in given.logs:
            source = WorldSource(
                given.data, cache=given.cache, logs=[name], history_s=0.0, future_s=0.0, stride_s=given.interval
            )
            frames = None if given.seconds is None else round(given.seconds / given.interval) + 1
            target = given.out / name
            count = record(source, list(islice(source.tokens, frames)), target, config)
            sys.stdout.write(f"{target}: {count} messages\n")
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
