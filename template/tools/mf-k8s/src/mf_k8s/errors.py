"""What stops a command."""


class CommandError(Exception):
    """Why a command could not be carried out, in one line: it is printed without a traceback."""
