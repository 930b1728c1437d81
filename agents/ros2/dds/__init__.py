"""The bridge on a DDS network without a ROS installation: the topics, types and bytes are those of ROS 2.

Needs the package ``cyclonedds``.
"""
