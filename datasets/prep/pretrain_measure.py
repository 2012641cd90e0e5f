"""Measure how well the small ViT of the demo separates person and background on SynthVVI."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.pretraining.measure import main

    sys.exit(main())
