"""Explain calls in the protocols of other services, whose clients can call this one."""
