"""The command line: `shapshot`, or `python -m service.cli`."""
