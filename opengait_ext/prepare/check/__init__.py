"""Check of prepared and published data before training."""
