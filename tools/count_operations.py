"""Count what one plan makes the device do, before and after: operations that are not views (about one kernel each on a GPU),
values read back by the host, and arithmetic.

    python tools/count_operations.py [--model base|nano] [--json]

Counted on the CPU by dispatching every operation through a counter; batch 1, the public jump table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffdrive.model import PLANNERS, PlannerModel
from diffdrive.runtime import Engine, make_engine
from diffdrive.runtime.checks import empty_inputs

ENGINES = ("plain", "eager")
READS_BACK = ("_local_scalar_dense", "item")
WHOLE = {
    torch.ops.aten.scaled_dot_product_attention.default,
    torch.ops.aten.upsample_bilinear2d.vec,
    torch.ops.aten.dropout.default,
}
"""One kernel each, or none, though they could be taken apart."""

NOT_WORK = ("empty", "empty_like", "empty_strided", "new_empty", "dropout")  # dropout does nothing in evaluation


class OperationCounter(TorchDispatchMode):
    """Counts every operation by name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.views = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in WHOLE and not func.is_view:
            with self:  # operations that are only made of others are not counted themselves
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        name = func.overloadpacket.__name__
        if func.is_view or name in NOT_WORK:
            self.views += 1
        else:
            self.calls[name] += 1
        return func(*args, **(kwargs or {}))


def count(engine: Engine) -> dict[str, Any]:
    """What one call of ``engine`` does."""
    inputs, noise = empty_inputs(engine.spec, engine.device)
    flops = FlopCounterMode(display=False)
    with flops:
        engine.run(inputs, noise)
    counter = OperationCounter()
    with counter:
        engine.run(inputs, noise)
    return {
        "operations": sum(counter.calls.values()),
        "views_and_allocations": counter.views,
        "host_reads": sum(counter.calls[name] for name in READS_BACK),
        "gflop": round(flops.get_total_flops() / 1e9, 2),
        "most_frequent": dict(counter.calls.most_common(8)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(PLANNERS), default="base")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    arguments = parser.parse_args()
    config = PLANNERS[arguments.model]()
    counted = {}
    for name in ENGINES:
        torch.manual_seed(0)
        counted[name] = count(make_engine(name, PlannerModel(config, torch.zeros(config.anchor_shape))))
    if arguments.json:
        print(json.dumps({"model": arguments.model, "torch": torch.__version__, **counted}))
        return 0
    for name, numbers in counted.items():
        print(f"{arguments.model} {name:6s} " + "  ".join(f"{key} {value}" for key, value in numbers.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
