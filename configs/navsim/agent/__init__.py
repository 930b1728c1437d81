"""NAVSIM agents as Hydra configurations: add ``pkg://diffdrive_configs.navsim`` to ``hydra.searchpath``."""
