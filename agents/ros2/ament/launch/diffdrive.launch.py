"""ros2 launch diffdrive_ros2 diffdrive.launch.py [params:=FILE] [checkpoint:=FOLDER] [use_sim_time:=true]"""

from diffdrive_agents.ros2.config import DEFAULT_PARAMS
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def generate_launch_description() -> LaunchDescription:
    """The planner's node, started again if it ends."""
    given = {
        "checkpoint": ParameterValue(LaunchConfiguration("checkpoint"), value_type=str),
        "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
    }
    return LaunchDescription(
        [
            DeclareLaunchArgument("params", default_value=str(DEFAULT_PARAMS), description="parameter file"),
            DeclareLaunchArgument("checkpoint", default_value="", description="folder of the network; empty: the shipped one"),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="take the time from /clock"),
            Node(
                package="diffdrive_ros2",
                executable="planner",
                name="diffdrive_planner",
                output="screen",
                parameters=[LaunchConfiguration("params"), given],
                respawn=True,
                respawn_delay=1.0,
            ),
        ]
    )
