"""Preparation of published data sets and of own recordings into tracklets; needs no torch."""
