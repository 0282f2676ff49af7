"""Parts of a comparison: its question, the order of building, the models, and the published result."""
