"""Errors that a user can fix; the launcher and the scripts show them without a traceback."""


class UserError(ValueError):
    """Something outside the program is wrong: a config file, data, a checkpoint.

    The message has the place, the value, the expected value and the remedy.
    """
