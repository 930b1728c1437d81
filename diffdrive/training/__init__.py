"""One of the two hosts of the network: adds targets, objectives and an optimiser. Needs the extra ``diffdrive[train]``."""
