"""The command line: every command, what it asks, and what it prints."""
