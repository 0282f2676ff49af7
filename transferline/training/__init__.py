"""The one training loop: the Learner it trains, gradients, sharding, saved state."""
