"""The arguments of a command line."""


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the arguments before `--`, which are a command's own, and those after it."""
    if "--" in arguments:
        end = arguments.index("--")
        return arguments[:end], arguments[end + 1 :]
    return arguments, []
