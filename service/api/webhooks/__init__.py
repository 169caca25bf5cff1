"""Webhooks: signing and delivering events."""
