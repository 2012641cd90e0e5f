"""Commands of ``opengait-ext``, one module per command; see ``cli``."""
