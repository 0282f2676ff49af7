"""Support for Prefect tasks: caching, locks, tracking, stores, servers. No stage is defined here."""
