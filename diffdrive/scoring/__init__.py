"""NAVSIM's scores without the devkit: PDMS (v1.1) and EPDMS (v2.2), batched, on the CPU or a GPU.

``prepare`` turns a scene into everything that judging needs (numpy, shapely; once a scene). ``score`` judges trajectories
against it (torch only).
"""
