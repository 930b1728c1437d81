"""Closed loop: a planner drives the ego of the embedded world among traffic that reacts to it, and is scored for it."""
