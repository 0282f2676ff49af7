"""Recipes: the registry of methods, params.yaml, admission of recipes, and the chain of steps planned from a recipe."""
