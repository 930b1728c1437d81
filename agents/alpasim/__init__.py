"""DiffusionDrive as a driver in NVIDIA's AlpaSim. Only ``model.py`` imports AlpaSim."""
