"""Check a data set before a long training."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.prepare.check.run import main

    sys.exit(main())
