"""transferline as a service: servers, workers, schedules, events. Most tests share one `transferline serve`."""
