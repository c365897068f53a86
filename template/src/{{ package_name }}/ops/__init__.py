"""What runs on a laptop or in CI, never in a pod: the command `k8s`, whose commands are in cli.py.

check and plan
    compile.py compiles flows with Metaflow itself; pods.py reads the pods of what comes out, and
    completes them; expect.py works out from k8s.toml what they must have; check.py, live.py and
    plan.py compare; report.py shows what they found.
deploy and image
    deploy.py writes what submit.py lets Metaflow make; environment.py is --env; image.py.
kind
    cluster.py works out what a cluster must have for these pods; nodes.py and kind.py make one,
    with the S3 server of kind.yaml; trial.py runs flows on it; waiting.py says what pods wait for.
both
    tools.py runs docker, kind and kubectl; progress.py shows how far long work is.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent.parent
ROOT = PACKAGE.parent.parent


class Problem(Exception):
    """Why something could not be done, in one line: the command ends with 2 and no traceback."""
