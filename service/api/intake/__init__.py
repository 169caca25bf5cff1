"""From the request that asks for explanations to their jobs in the queue."""
