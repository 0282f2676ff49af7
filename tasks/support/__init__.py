"""What Prefect tasks stand on: caching, locks, tracking, stores, servers. No stage is defined here."""
