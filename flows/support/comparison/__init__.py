"""The parts of a comparison: its question, its contest, its leaves, and where the result goes."""
