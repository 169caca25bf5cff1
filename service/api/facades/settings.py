"""Settings of a request of another protocol, and their names in its problems."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from service.api.http.problems import ApiError
from service.api.http.validation import validation_problem
from service.schemas.documents import ErrorCode
from service.schemas.requests import BatchSettings, ExplanationSettings

REFUSED = {  # settings that requests in another form cannot have
    "model": "the path names the model; received another in the settings",
    "compare_with": "the answer has no place for a second model; use POST /v1/explanations",
}


def checked_settings(given: Mapping[str, Any], model: Any, count: int) -> ExplanationSettings:
    """Returns the settings for this model and number of pictures. Raises ApiError.

    model: as in settings, a name or a name with a fingerprint.
    """
    for name, reason in REFUSED.items():
        if name in given:
            field = f"settings.{name}"
            code, detail = ErrorCode.INVALID_SETTINGS, f"{field}: {reason}"
            raise ApiError(code, detail, field, given[name])
    kind = BatchSettings if count > 1 else ExplanationSettings
    try:
        return kind.model_validate({**given, "model": model}, strict=True)
    except ValidationError as error:
        code = ErrorCode.INVALID_SETTINGS
        raise validation_problem(error, kind, code=code, under="settings") from error


def renamed(error: ApiError, names: Mapping[str, str]) -> ApiError:
    """Returns the error with the first of these names that its field begins with replaced."""
    field = error.field or ""
    for ours, theirs in names.items():
        if field == ours or field.startswith(f"{ours}."):
            name = theirs + field.removeprefix(ours)
            detail = error.detail.replace(field, name)
            return ApiError(error.code, detail, name, error.received, error.accepted, error.headers)
    return error
