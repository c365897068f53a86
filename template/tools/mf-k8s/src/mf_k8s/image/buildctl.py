"""BuildKit's own client, for CI without Docker: its daemon is elsewhere, and runs without root.

It takes what `docker build` takes (https://github.com/moby/buildkit#building-a-dockerfile-with-buildctl).
"""

import os
import shutil
from collections.abc import Mapping, Sequence

from .build_context import BuildContext

HOST = "BUILDKIT_HOST"  # as buildctl reads it, like tcp://buildkitd.ci:1234
PROGRAM = "buildctl"


def uses_buildctl() -> bool:
    """Return whether images are built by buildctl: its daemon is named, and it is here."""
    return bool(os.environ.get(HOST)) and bool(shutil.which(PROGRAM) or not shutil.which("docker"))


def push_command(
    image: str,
    context: BuildContext,
    labels: Mapping[str, str],
    platforms: Sequence[str],
    secrets: Sequence[str],
) -> list[str]:
    """Return the command that builds an image and pushes it; `secrets` are options, too."""
    options = {f"label:{name}": value for name, value in labels.items()}
    if platforms:
        options["platform"] = ",".join(platforms)
    if context.folder != context.project:
        options["build-arg:PROJECT"] = context.relative_project
    return [
        *(
            PROGRAM,
            "build",
            "--frontend=dockerfile.v0",
            f"--local=context={context.sent or context.folder}",
        ),
        f"--local=dockerfile={context.project}",
        *(f"--opt={name}={value}" for name, value in options.items()),
        *secrets,
        f"--output=type=image,name={image},push=true",
    ]
