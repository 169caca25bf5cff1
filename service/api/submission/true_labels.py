"""The true classes of pictures, which a request names as it names outputs."""

from collections.abc import Sequence

from service.api.http.problems import invalid_setting
from service.api.submission.resolve_settings import index_of, unknown_output
from service.schemas.documents import ClassName
from service.schemas.models import ModelCard
from service.schemas.requests import BatchSettings, ClassChoice, ExplanationSettings


def resolve_true_labels(
    settings: ExplanationSettings, card: ModelCard, pictures: int
) -> Sequence[ClassName | None]:
    """Returns the true class of each picture, None where none is given. Raises ApiError."""
    several = settings.true_labels if isinstance(settings, BatchSettings) else None
    if several is None:
        return [_resolve(settings.true_label, card, "settings.true_label")] * pictures
    if len(several) != pictures:
        said = f"must have one entry for each of the {pictures} pictures"
        bounds = {"minItems": pictures, "maxItems": pictures}
        raise invalid_setting("true_labels", said, len(several), bounds)
    return [
        _resolve(each, card, f"settings.true_labels.{position}")
        for position, each in enumerate(several)
    ]


def _resolve(wanted: ClassChoice | None, card: ModelCard, field: str) -> ClassName | None:
    if wanted is None:
        return None
    index = index_of(wanted, card.labels, field) if isinstance(wanted, str) else wanted
    count = card.output_count or 0
    if index >= count:
        bounds = {"minimum": 0, "maximum": count - 1}
        raise unknown_output(field, f"the model has {count} outputs", index, bounds)
    return ClassName(index=index, label=card.labels[index] if card.labels else str(index))
