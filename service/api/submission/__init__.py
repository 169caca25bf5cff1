"""From an upload to a job in the queue."""
