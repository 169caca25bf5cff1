"""Errors about models.

ModelsError
├── RegistryError          the models file is invalid: the worker does not start
└── ModelUnavailableError  one model cannot be served; the others are
"""


class ModelsError(Exception):
    """Base of the errors about models."""


class RegistryError(ModelsError):
    """The models file is invalid."""


class ModelUnavailableError(ModelsError):
    """A model cannot be served; the message is the reason, in one line."""
