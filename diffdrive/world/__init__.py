"""The embedded driving world: procedural towns, simulated traffic, and the sensors that see them.

Making new towns needs SUMO (``pip install 'diffdrive[world]'``); reading and rendering finished ones does not.
"""
