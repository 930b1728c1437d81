"""What makes a run a run: devices and processes, checkpoints, signals, logs, pictures, scores and the exported planner."""
