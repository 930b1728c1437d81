"""DriveTown as a benchmark: which scenes of which towns, what happens in each, and how simple drivers fare there."""
