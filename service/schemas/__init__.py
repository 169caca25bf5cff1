"""Schemas of the HTTP API: requests, responses, and the documents in them."""
