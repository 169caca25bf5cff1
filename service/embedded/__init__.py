"""Redis, one worker and the API on one machine: `shapshot up`."""
