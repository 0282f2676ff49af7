"""Parameter types of the flows with dropdowns: targets, recipes and comparisons of params.yaml, read at import.

`transferline deploy` writes the dropdowns into the deployments. Run it again after a change of params.yaml. The server
refuses other values. A flow that is started in another way checks the names itself.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from transferline.core.errors import InputError
from transferline.recipes.params import AUTO, project_params

OWN = "own"  # in place of a recipe's name: the target's default recipe in params.yaml


def _offer(block: str, *more: str) -> Any:
    """A field with a dropdown of a block's names. Without a dropdown if params.yaml is invalid: the flow raises that error."""
    try:
        names = list(dict.fromkeys([*more, *getattr(project_params(), block)]))
    except InputError:
        return Field()
    return Field(json_schema_extra={"enum": names})


TargetChoice = Annotated[str, _offer("targets")]
ComparisonChoice = Annotated[str, _offer("comparisons", "default")]
RecipeChoice = Annotated[str, _offer("recipes", OWN, AUTO)]


def recipe_of(choice: str | None) -> str | None:
    """The chosen recipe, or None for the target's default."""
    return None if choice in (None, "", OWN) else choice
