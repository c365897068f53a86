"""The Secrets that images are pulled with are there.

Kubernetes starts a pod without a pull secret that is missing: a public image is pulled all the
same, a private one ends in ErrImagePull and ImagePullBackOff, for ever. They are named by
`image_pull_secrets` in k8s.toml and by METAFLOW_KUBERNETES_IMAGE_PULL_SECRETS; a pod that names
none gets those of its service account.
(https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/)

Fill in the user and the password, or token, of the image's registry. If none is needed, take the
name out of k8s.toml or of the account.
"""

from collections.abc import Iterator

from ...cluster.view import ACCOUNTS
from ..answers import Answer, ok, problem
from ..examination import Examination
from ..pull_secrets import PULL_SECRETS, create_command, pull_secrets_of

NEEDS = ("account-exists",)
READS = (PULL_SECRETS.get, ACCOUNTS.get)


def examine(case: Examination) -> Iterator[Answer]:
    for name, pods in case.pods_by(lambda pod: pull_secrets_of(case, pod)):
        if case.view.get(PULL_SECRETS, name):
            yield ok(name, pods)
        else:
            what = f"there is no Secret {name} in namespace {case.namespace} to pull images with"
            yield problem(what, pods, create_command(case, name, pods))
