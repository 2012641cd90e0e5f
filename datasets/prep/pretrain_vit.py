"""Pre-train the demo's small ViT, which stands in for DINOv2, on unlabeled frames."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.pretraining.run import main

    sys.exit(main())
