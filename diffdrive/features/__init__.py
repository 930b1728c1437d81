"""From scenes to tensors: ``inputs`` from what the car may know, ``targets`` from what happened next.

The two halves do not import each other, and only ``inputs`` runs in a vehicle (numpy and torch, nothing else).
"""
