"""The trained network rearranged for inference: the same function up to rounding, with everything constant computed once.

Start reading at ``network.py``; what was rearranged is listed there, and each file says why its part is exact.
"""

from diffdrive.model.inference.layers import ConvLayer
from diffdrive.model.inference.network import InferenceModel, Perceived, proposals_of

__all__ = ["ConvLayer", "InferenceModel", "Perceived", "proposals_of"]
