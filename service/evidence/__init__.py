"""Signs records and checks signatures; knows keys, envelopes and canonical JSON."""
