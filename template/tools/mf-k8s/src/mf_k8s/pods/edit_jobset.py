"""Changes the pods in the text of a JobSet that Metaflow writes into a WorkflowTemplate."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

from .read_yaml import read_yaml

EXPRESSION = re.compile(r"\{\{=.*?\}\}")  # of Argo's, like {{=asInt(…)}}, for a number
PLACE = "expression-of-argo-"


def edit_jobset(text: str, edit: Callable[[dict[str, Any]], None]) -> str:
    """Return the text of a JobSet, with each job's pod changed by `edit`; unchanged if none is.

    It is no YAML before Argo has put numbers in: names stand for them here. JSON, which YAML
    includes, has no texts that one reader takes for a number and another does not.
    """
    numbers = itertools.count()
    expressions = EXPRESSION.findall(text)
    jobset = read_yaml(EXPRESSION.sub(lambda _: f"{PLACE}{next(numbers)}", text))
    before = json.dumps(jobset)
    for job in jobset["spec"]["replicatedJobs"]:
        edit(job["template"]["spec"]["template"])
    if json.dumps(jobset) == before:
        return text
    edited = json.dumps(jobset, indent=1)
    return re.sub(f'"{PLACE}([0-9]+)"', lambda found: expressions[int(found[1])], edited)
