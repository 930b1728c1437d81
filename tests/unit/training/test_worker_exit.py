"""Worker processes of the loader end with the program that started them, also when nobody put them away before."""

from __future__ import annotations

import subprocess
import sys

from diffdrive.training.cache import FeatureCache

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from diffdrive.training.cache import FeatureCache
from diffdrive.training.loading import BatchLoader, BatchOrder

cache = FeatureCache(Path(sys.argv[1]))
loader = BatchLoader(cache, BatchOrder(rows=np.arange(len(cache)), batch_size=2, seed=0), workers=2)
batches = iter(loader)
next(batches)
print("read")
"""


def test_a_program_ends_though_its_workers_wait_for_more(tiny_cache: FeatureCache) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tiny_cache.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "read\n"), done.stderr
