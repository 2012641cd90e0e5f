"""Commands of ``opengait-ext``, one module each; see ``cli``."""
