"""Hours of driving with everything going wrong, and somebody independent looking at what the vehicle is handed.

drive -> deliver (with the schedule's faults) -> SafePlanner, its planner in a process that gets killed -> monitor -> ledger
"""
