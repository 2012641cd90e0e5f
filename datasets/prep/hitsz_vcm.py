"""Prepare HITSZ-VCM, or data in its form (SynthVVI), for training and testing."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.prepare.vcm.run import main

    sys.exit(main())
