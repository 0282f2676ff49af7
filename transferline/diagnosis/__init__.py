"""Diagnosis before training: estimate from frozen features, in minutes, whether and from where transfer will pay."""
