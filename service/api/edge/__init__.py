"""Around every request: its connection and body, who asks and how often, headers and counts."""
