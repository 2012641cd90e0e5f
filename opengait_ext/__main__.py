"""``python -m opengait_ext`` is ``opengait-ext``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
