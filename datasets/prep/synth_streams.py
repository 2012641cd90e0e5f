"""Write the gait streams of SynthVVI: true silhouettes, and maps of limbs and joints."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.prepare.synth.streams import main

    sys.exit(main())
