"""What ends a command without a traceback: a mistake of the user's, and work that waits for other machines."""


class UserError(Exception):
    """A mistake of the user's, told in one line: what, the value, what to do. The command line ends with exit code
    2."""


class Waiting(Exception):
    """No mistake: the next step is other processes' to do, and the same command goes on after that. Exit code 0."""
