"""Schedules in params.yaml: when a target is retrained and watched. Every cron expression accepted here, Prefect accepts too."""

from __future__ import annotations

import re
import zoneinfo
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from transferline.core.errors import shown

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month, in a leap year for February
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
EXAMPLE = 'Write minute, hour, day, month and weekday, such as "0 3 * * 1"'
_PART = re.compile(r"(\*|\w{1,3}(?:-\w{1,3})?)(?:/([0-9]{1,2}))?", re.ASCII)


def check_cron(cron: str) -> str:
    """Return a cron expression of five fields. Raises ValueError if a field is out of range, or if no date ever matches."""
    parts = cron.split()
    if len(parts) != len(FIELDS):
        raise ValueError(f"{shown(cron)} has {len(parts)} fields, not {len(FIELDS)}. {EXAMPLE}")
    found = [_times(part, *field) for part, field in zip(parts, FIELDS, strict=True)]
    days, months = found[2], found[3]
    # with a weekday, cron takes the days that match either of the two
    if parts[4] == "*" and not any(day <= LONGEST[month - 1] for day in days for month in months):
        raise ValueError(f"no month of {parts[3]!r} has a day {parts[2]!r}. {EXAMPLE}")
    return cron


def _times(text: str, name: str, lowest: int, highest: int) -> set[int]:
    """The times that one field names: numbers, names of months or days, ranges, steps, lists."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        values = "" if match is None else match[1].replace("*", f"{lowest}-{highest}")
        ends = [_number(value, name) for value in values.split("-")]
        step = int(match[2] or 1) if match else 0
        # a step after a single number has no agreed meaning
        if not step or (step > 1 and len(ends) == 1) or not lowest <= ends[0] <= ends[-1] <= highest:
            raise ValueError(f"the {name} {shown(part)} does not lie in {lowest} to {highest}. {EXAMPLE}")
        found |= set(range(ends[0], ends[-1] + 1, step))
    return found


def _number(text: str, name: str) -> int:
    """The number of a cron value, or -1 for a word that is no month and no day."""
    names = {"month": (1, MONTHS), "weekday": (0, DAYS)}
    if text.isdecimal():
        return int(text)
    first, words = names.get(name, (0, ()))
    return words.index(text.lower()) + first if text.lower() in words else -1


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def check_timezone(name: str) -> str:
    """Return the name of a time zone. Raises ValueError if the tz database has none of that name."""
    if name not in _timezones():
        raise ValueError(f"{shown(name)} is not a time zone. Write a name such as Europe/Berlin")
    return name


Cron = Annotated[str, AfterValidator(check_cron)]
Timezone = Annotated[str, AfterValidator(check_timezone)]


class Watch(BaseModel):
    """Drift monitoring of a target's incoming, unlabelled texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    stream: str
    """file or folder of incoming texts; .csv, .jsonl, .parquet or .txt"""
    text: str = "text"
    """name of the text column"""
    pair: str = ""
    """name of the column of the second text, for models of text pairs"""
    threshold: Annotated[float, Field(gt=0, le=2)] = 0.5
    """proxy A-distance (0 to 2) above which drift is reported"""
    cron: Cron | None = None
    """when to check for drift"""
    timezone: Timezone = "UTC"
    """time zone of `cron`"""
    retrain: bool = False
    """whether a drift alarm starts a retrain automatically"""


class Operation(BaseModel):
    """Scheduled operation of one target. Does not affect keys or data."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    cron: Cron | None = None
    """when to retrain"""
    timezone: Timezone = "UTC"
    """time zone of `cron`"""
    recipe: str | None = None
    """recipe of scheduled retrains; default: the target's own recipe"""
    approval: bool = False
    """whether a person must approve before the champion alias moves"""
    watch: Watch | None = None
