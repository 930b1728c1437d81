"""Anchor files that ship with the project: points (.npy), each with its description (.json) beside it. Data only.

Read them with ``diffdrive.anchors.AnchorSet.load``; make new ones with ``diffdrive anchors fit``.
"""
