"""Ends a script by one line when Ctrl-C comes while it imports; imported first, for its effect."""

import os
import sys

from opengait_ext.quiet import be_quiet_from_here

if os.path.dirname(os.path.realpath(sys.argv[0])) == os.path.dirname(os.path.realpath(__file__)):
    be_quiet_from_here()  # run as a script
