"""What Argo's own schema allows in a WorkflowTemplate, as hera's models have it."""

from typing import Any

from hera.workflows.models import WorkflowTemplate
from pydantic import ValidationError


def schema_errors(template: Any) -> list[str]:
    """Return the places in a WorkflowTemplate whose value Argo's schema does not allow."""
    try:
        WorkflowTemplate.model_validate(template)
    except ValidationError as invalid:
        return [".".join(map(str, error["loc"])) for error in invalid.errors()]
    return []
