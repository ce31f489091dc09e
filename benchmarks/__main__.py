"""`make bench`: every benchmark but the long ones, or those named."""

import sys

from benchmarks import checkpoints, convolutions, host, interface, lanes, listing, memory, start

BENCHMARKS = {
    "lanes": lanes.measure,
    "convolutions": convolutions.measure,
    "checkpoints": checkpoints.measure,
    "start": start.measure,
    "interface": interface.measure,
    "listing": listing.measure,
    "memory": memory.measure,
    "host": host.measure,
    "host-quick": host.measure_quick,
}
LONG = {"memory", "host"}
"""Those of a quarter of an hour and more."""

if __name__ == "__main__":
    chosen = sys.argv[1:] or [name for name in BENCHMARKS if name not in LONG]
    met = [BENCHMARKS[name]() for name in chosen]
    sys.exit(0 if all(met) else 1)
