"""No-transfer controls: what the target's labels alone are worth. Every retrain builds them."""
