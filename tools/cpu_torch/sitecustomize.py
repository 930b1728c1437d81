"""Put this folder into PYTHONPATH where torch is a CPU build and torchvision is not: Lightning then imports all the same.

Scripts that import Lightning before diffdrive, as NAVSIM's do, stop with ``operator torchvision::nms does not exist``. Where
torch comes from download.pytorch.org/whl/cpu, a torchvision from there is the better cure, and this is not needed.
"""

from diffdrive.torchvision_ops import declare_missing_ops

declare_missing_ops()
