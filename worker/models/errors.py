"""What can be wrong with models, and how far it reaches.

ModelsError
├── RegistryError     the file that lists the models is wrong: the worker does not start
└── ModelUnavailableError  one model cannot be served; the others are
"""


class ModelsError(Exception):
    """Base of the errors about models."""


class RegistryError(ModelsError):
    """The file that lists the models is wrong."""


class ModelUnavailableError(ModelsError):
    """A model cannot be served; the message is the reason, in one line."""
