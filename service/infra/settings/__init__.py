"""Settings of the processes, one field per environment variable; the entry points read them once.

No other code reads the environment.
"""
