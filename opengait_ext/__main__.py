"""Entry of ``python -m opengait_ext``, the same as ``opengait-ext``."""

from . import cli

if __name__ == "__main__":
    raise SystemExit(cli.main())
