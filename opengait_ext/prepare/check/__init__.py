"""The look at prepared and published data before training."""
