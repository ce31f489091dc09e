"""`python -m lth_tui` is `lth-tui`."""

import sys

from lth_tui.cli import main

sys.exit(main())
