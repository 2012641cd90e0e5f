"""Prepare own recordings: folders of images, or videos with boxes of the people in them."""

import sys

from opengait_ext.quiet import be_quiet_from_here

if __name__ == "__main__":
    be_quiet_from_here()
    from opengait_ext.prepare.recordings.run import main

    sys.exit(main())
