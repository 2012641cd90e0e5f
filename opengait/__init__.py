"""The launcher: ``python -m opengait.main --cfgs configs/<model>_<dataset>.yaml``."""
