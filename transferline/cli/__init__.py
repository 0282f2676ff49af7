"""Command line: the commands, their options, and their output."""
