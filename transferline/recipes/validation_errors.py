"""Errors of the declarations in params.yaml, in words that lead a user to the line and its correction."""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from transferline.core.errors import InputError, closest, shown
from transferline.recipes.conversions import conversions
from transferline.recipes.strict_yaml import Document

SHOWN = 5  # errors in one message
PLAIN = {"dictionary or object to extract fields from": "mapping", "dictionary": "mapping", "tuple": "list"}


def explain(document: Document, error: ValidationError, model: type[BaseModel]) -> InputError:
    """The validation errors of a file as one InputError: the first as its place, cause and correction, then the others."""
    found: dict[tuple[str, ...], ErrorDetails] = {}
    # a union reports one error for each of its members: keep the one that got deepest, which is the member that was meant
    for details in sorted(error.errors(include_url=False), key=lambda details: -len(details["loc"])):
        names, _ = document.find(details["loc"])
        if not any(other[: len(names)] == names and details["type"] != "missing" for other in found):
            found[(*names, str(details["loc"][-1])) if details["type"] == "missing" else names] = details
    messages: dict[tuple[int, str], tuple[str, str]] = {}  # entries that merge the same anchor report its mistake once
    for names, details in found.items():
        what, mend = _words(details, model, document)
        # a validator of a whole block begins its message with the field
        field = what.split(":")[0] if details["type"] == "value_error" else ""
        deeper, line = document.find((*details["loc"], field))
        place = names if details["type"] == "missing" else deeper
        what = what.removeprefix(f"{field}: ") if deeper != names else what
        messages.setdefault((line, what), (f"line {line}, {'.'.join(place)}", mend))
    ((_, what), (where, mend)), *others = sorted(messages.items())
    more = "".join(f". Also {place}: {what}" for (_, what), (place, _) in others[: SHOWN - 1])
    unseen = f". {len(messages) - SHOWN} more errors follow" if len(messages) > SHOWN else ""
    return InputError(f"{document.path}, {where}", what, f"{mend}{more}{unseen}")


def _words(details: ErrorDetails, model: type[BaseModel], document: Document) -> tuple[str, str]:
    """Cause and correction of one error."""
    loc, given, context = details["loc"], details["input"], details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        return "there is no such field", _named(loc[-1], fields_at(model, loc[:-1]))
    if details["type"] == "missing":
        return "Field required", "Add it; docs/reference.md lists the fields of each block"
    if details["type"] == "union_tag_invalid":
        known = [tag.strip(" '") for tag in context["expected_tags"].split(", ")]
        return f"{shown(context['tag'])} is not a known {context['discriminator'].strip(chr(39))}", _named(
            context["tag"], known
        )
    if details["type"] == "string_type" and given is not None:
        if not isinstance(given, int | float):
            return "it is a list or a mapping, not text", "Write one text"
        text = document.written(loc)
        return f"{shown(text)} is not text", f"Put it in quotes if it is text: '{text}'"
    if given is None:
        return "it has no value", "Give it a value, or leave the entry out"
    if details["type"] == "union_tag_not_found":
        return "the field `method` is missing", "Add it; `transferline methods` lists the methods"
    what = details["msg"].removeprefix("Value error, ")
    for technical, plain in PLAIN.items():
        what = what.replace(technical, plain)
    echo = f", not {shown(given)}" if isinstance(given, str | int | float) and details["type"] != "value_error" else ""
    return f"{what}{echo}", "Correct the entry; docs/reference.md lists the fields of each block"


def _named(name: object, known: Sequence[str]) -> str:
    """The correction of an unknown word."""
    found = closest(name, known)
    return (f"Did you mean {found!r}? " if found else "") + f"Allowed here are {', '.join(sorted(known)) or 'none'}"


def fields_at(kind: Any, loc: Sequence[object]) -> list[str]:
    """The fields of the model at the place of an error. `kind` is the type at its start; empty where no model stands there."""
    origin = get_origin(kind)
    if origin is Annotated:
        return fields_at(get_args(kind)[0], loc)
    if origin in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not type(None)]
        if len(members) == 1:
            return fields_at(members[0], loc)
        chosen = [member for member in members if loc and loc[0] in _tags(member)]
        return fields_at(chosen[0], loc[1:]) if chosen else []
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not loc:
            return [name for name in kind.model_fields if name != "method"]
        field = kind.model_fields.get(str(loc[0]))
        return fields_at(field.annotation, loc[1:]) if field else []
    if origin in (dict, tuple) and loc:
        return fields_at(get_args(kind)[origin is dict], loc[1:])
    return []


def _tags(member: Any) -> tuple[object, ...]:
    """The words with which pydantic names a member of a union in an error's place."""
    method = getattr(member, "model_fields", {}).get("method")
    kind = method.annotation if method else None
    if get_origin(member) is Annotated:
        return tuple(getattr(data, "tag", "") for data in get_args(member)[1:])
    return (getattr(member, "__name__", ""), *(get_args(kind) if get_origin(kind) is Literal else ()))


def check_values(document: Document, checked: BaseModel) -> None:
    """Refuse values that pydantic would convert to another meaning, with their lines: `epochs: true`, `data: ''`."""
    for place, mistake in conversions(document.value, checked.model_dump(), ()):
        document.refuse(place, *mistake)
