"""Recipes: the registry of methods, params.yaml, admission, and the chain of steps that a recipe means."""
