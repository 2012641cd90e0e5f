"""Import published weights, or report on any weight file."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.pretrained.run import main

    sys.exit(main())
