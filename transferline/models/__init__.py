"""Bases, model families, heads, tokenization, embeddings, and networks of our own."""
