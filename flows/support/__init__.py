"""Support for flows: planning, building, reporting. No flow is defined here."""
