"""What runs on a laptop or in CI, never in a pod: the command `k8s`."""

from pathlib import Path

PACKAGE = Path(__file__).parent.parent
ROOT = PACKAGE.parent.parent


class Problem(Exception):
    """Why something could not be done, in one line: the command ends with 2 and no traceback."""
