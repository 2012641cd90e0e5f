"""Ends a script by one line when Ctrl-C comes while it imports; imported first, for its effect."""

import sys
from pathlib import Path

from opengait_ext.quiet import be_quiet_from_here

is_script = Path(sys.argv[0]).resolve().parent == Path(__file__).resolve().parent
if is_script:
    be_quiet_from_here()
