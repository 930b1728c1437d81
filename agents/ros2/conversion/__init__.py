"""Messages to values and back. Functions of messages alone: no topics, no clock, no memory.

A message is anything with the attribute names of its ROS type: rclpy's, rosbags' and cyclonedds' classes all pass. One that
breaks a rule raises ``InputError``, which the envelope sees as a fault of that input.
"""
