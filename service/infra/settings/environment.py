"""Reads settings from environment variables, and reports every invalid one."""

import re
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

Of = TypeVar("Of", bound=BaseSettings)


class SettingsError(Exception):
    """Environment variables have invalid values; the message names each."""


def read_settings(kind: type[Of]) -> Of:
    """Read settings from the environment. Raises SettingsError."""
    try:
        return kind()
    except ValidationError as error:
        wrong = []
        for each in error.errors():
            variable = f"{kind.model_config['env_prefix']}{each['loc'][0]}".upper()
            message = each["msg"].removeprefix("Value error, ")
            if "Secret" in str(kind.model_fields[str(each["loc"][0])].annotation):
                wrong.append(f"{variable}: {message}")
                continue
            received = re.sub(r"//[^/]*@", "//…@", str(each["input"]))[:200]  # without a password
            wrong.append(f"{variable}: {message}; received {received!r}")
        raise SettingsError(" · ".join(wrong)) from None
