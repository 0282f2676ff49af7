"""Data on its way from a source to the splits that stages read: fetch, read, split, gate, profile, pack."""
