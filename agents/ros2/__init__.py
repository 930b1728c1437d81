"""The planner on ROS 2 topics: messages become inputs of the envelope, its decisions become messages.

    message -> conversion/ -> inputs.py -> SafePlanner -> outputs.py, conversion/ -> message

Only ``node.py`` imports rclpy, only ``dds/`` imports cyclonedds, only ``bag_types.py`` and ``bags.py`` import rosbags.
Everything else works on whatever has the attributes of a ROS message.
"""
