"""`make bench`: every benchmark, or those named."""

import sys

from benchmarks import checkpoints, convolutions, interface, lanes

BENCHMARKS = {
    "lanes": lanes.measure,
    "convolutions": convolutions.measure,
    "checkpoints": checkpoints.measure,
    "interface": interface.measure,
}

if __name__ == "__main__":
    chosen = sys.argv[1:] or list(BENCHMARKS)
    met = [BENCHMARKS[name]() for name in chosen]
    sys.exit(0 if all(met) else 1)
