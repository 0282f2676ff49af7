"""Base models, model families, heads, tokenization, embeddings, and custom networks."""
