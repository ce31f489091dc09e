"""`python -m lth_tui` is `lth-tui`."""

import gc
import sys


def main() -> int:
    """Run the command line; the exit code."""
    gc.disable()  # of all that is loaded nothing becomes garbage: looking for it takes a sixth of the time
    from lth_tui.cli import main

    gc.freeze()
    gc.enable()
    return main()


if __name__ == "__main__":
    sys.exit(main())
