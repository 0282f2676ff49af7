"""What a form offers: the targets and recipes of params.yaml, read when a flow is imported.

`transferline deploy` puts them into the deployments; run it again after params.yaml has changed. A server refuses what is
not among them; a flow started in another way refuses it at its own door.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from transferline.core.errors import InputError
from transferline.core.project import root
from transferline.recipes.params import AUTO, load_params

OWN = "own"  # instead of a recipe: the one that params.yaml names for the target


def _offer(block: str, *more: str) -> Any:
    """A field with a dropdown of a block's names; without one where params.yaml cannot be read (its error comes later)."""
    try:
        names = list(dict.fromkeys([*more, *getattr(load_params(root() / "params.yaml"), block)]))
    except InputError:
        return Field()
    return Field(json_schema_extra={"enum": names})


Target = Annotated[str, _offer("targets")]
ComparisonChoice = Annotated[str, _offer("comparisons", "default")]
RecipeChoice = Annotated[str, _offer("recipes", OWN, AUTO)]


def recipe_of(choice: str | None) -> str | None:
    """The recipe that was chosen; None for the target's own."""
    return None if choice in (None, "", OWN) else choice
