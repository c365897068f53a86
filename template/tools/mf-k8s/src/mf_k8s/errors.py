"""What stops a command."""

import signal

# Ctrl-C, the end of a CI job, and a closed terminal, for which Windows has no signal.
INTERRUPTIONS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class CommandError(Exception):
    """Why a command could not be carried out, in one line: it is printed without a traceback."""
