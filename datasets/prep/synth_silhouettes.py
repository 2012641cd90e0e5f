"""Compare the silhouettes of a trained model with the true ones of SynthVVI."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.pretraining.silhouettes import main

    sys.exit(main())
