"""The training loop: Learner, gradients, sharding, saved state."""
