"""Tournaments: many recipes on one target, planned as one DAG, compared fairly, and decided."""
