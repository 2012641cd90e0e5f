"""Pre-trains the small ViT of the demo, in the place of DINOv2, on unlabeled frames."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.pretraining.run import main

    sys.exit(main())
