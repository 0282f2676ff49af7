"""What helps a flow: planning, building, showing. No flow is defined here."""
