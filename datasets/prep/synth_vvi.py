"""Generate SynthVVI: people walking before visible and near-infrared cameras."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.prepare.synth.run import main

    sys.exit(main())
