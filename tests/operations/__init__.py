"""The line as a service: servers, workers, schedules, events. Every test runs against one `transferline serve`."""
