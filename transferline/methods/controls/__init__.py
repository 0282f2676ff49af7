"""No-transfer controls: baselines that use the target's labels only. Every retrain builds them."""
