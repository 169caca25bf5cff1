"""Requests to addresses that clients choose: receivers of webhooks, and pictures by URL."""
