"""Published data and own recordings become prepared tracklets; needs no torch."""
