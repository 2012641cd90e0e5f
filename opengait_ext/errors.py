"""What a user can mend: shown without a traceback by the launcher and the scripts."""


class UserError(ValueError):
    """Something outside the program is not as it must be: a config file, data, a checkpoint.

    The message gives the place, the value, what was expected and what to do.
    """
