"""Levels of the checks of a target's rows, as params.yaml declares them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Level = Literal["error", "warning", "ignore"]


class Checks(BaseModel):
    """What `prepare` does about suspicious rows: stop, warn, or only count them in the profile."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    conflicting_labels: Level | None = None
    """one text with different labels in one split; left out: error for labels and tags of texts, warning for numbers, bins and
    rows of numbers, ignore for texts to generate"""
    conflicting_copies: Level = "warning"
    """one text with different labels in two splits: the leak gate removes the copy on the training side"""
    group_holes: Level = "error"
    """rows without a value in the column `group`; without an error, each is a group of its own"""
    shared_groups: Level = "warning"
    """groups with rows in several declared splits"""
    spellings: Level = "warning"
    """one label in several spellings, read as one: 1 and 1.0, true and True, other white space"""
    similar_labels: Level = "warning"
    """labels that differ only in case, white space, punctuation, or invisible characters"""
    missing_words: Level = "warning"
    """texts and labels that spell a missing value: nan, null, none, n/a"""
    one_split: Level = "warning"
    """labels that validation or test lacks"""
    single_rows: Level = "warning"
    """labels with one training row"""
    outliers: Level = "warning"
    """numbers far from all others"""
    identical_texts: Level = "warning"
    """texts that occur several times in a split, with equal labels"""
