"""Tournaments: plan many recipes for one target as one DAG, compare them statistically, and decide which one to ship."""
