"""Brings published weights under the names of this project, or tells what a file of weights is."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.pretrained.run import main

    sys.exit(main())
