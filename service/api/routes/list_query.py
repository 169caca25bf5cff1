"""The query parameters of the lists, and the selection from the index that they make."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from service.api.auth.keys import NAME, Scope
from service.api.auth.principal import Principal
from service.api.http.problems import ApiError
from service.api.state.listing import Cursor, Selection
from service.jobs.facets import (
    MAX_METADATA,
    MAX_METADATA_KEY,
    MAX_METADATA_VALUE,
    MAX_NAME_WORDS,
    masker_value,
    metadata_value,
    name_words,
    word,
)
from service.jobs.redis_keys import BATCH_ID, BATCHES, facet_key_of, index_of
from service.schemas.documents import ErrorCode, Status
from service.schemas.masker_setting import MASKER_PATTERN
from service.schemas.requests import Method
from service.schemas.warnings import WarningCode

MAX_METADATA_FILTERS = 8
Entry = Annotated[
    str,
    StringConstraints(pattern=rf"^[^=]{{1,{MAX_METADATA_KEY}}}=[\s\S]{{0,{MAX_METADATA_VALUE}}}$"),
]


class PageQuery(BaseModel):
    """The page of a list, and the owner listed."""

    model_config = ConfigDict(extra="forbid")

    owner: str | None = Field(
        None,
        pattern=f"^{NAME}$",
        description="Only those of this owner, by name in the keys file; an owner other than the "
        "key's requires the scope auditor",
    )
    order: Literal["newest", "oldest"] = Field("newest", description="The ones to list first")
    cursor: str | None = Field(
        None,
        max_length=200,
        description="next_cursor of the previous page. It marks a time of creation: with other "
        "filters or another order, the list continues from there",
    )
    limit: int = Field(20, ge=1, le=100)

    @property
    def after(self) -> Cursor | None:
        """Raises ApiError invalid_parameter."""
        return Cursor.parse(self.cursor) if self.cursor else None

    def owner_for(self, caller: Principal) -> str | None:
        """Returns the owner to list; None: all owners. Raises ApiError forbidden."""
        if self.owner is None:
            return caller.lists
        if not caller.sees(self.owner):
            detail = f"owner: another name than the key's own takes the scope {Scope.AUDITOR}"
            raise ApiError(ErrorCode.FORBIDDEN, detail, "owner", self.owner, caller.name)
        return self.owner


class BatchListQuery(PageQuery):
    """The batches to list."""

    def selection(self, caller: Principal) -> Selection:
        sets = [index_of(self.owner_for(caller), BATCHES)]
        return Selection(sets, newest=self.order == "newest")


class ExplanationListQuery(PageQuery):
    """The explanations to list: those that all filters select."""

    status: Status | None = Field(None, description="Only those with this status")
    model: str | None = Field(None, max_length=200, description="Only those by this model")
    fingerprint: str | None = Field(
        None,
        pattern="^sha256:[0-9a-f]{64}$",
        description="Only those by a model with this fingerprint",
    )
    method: Method | None = Field(None, description="Only those by this method")
    masker: str | None = Field(
        None,
        pattern=MASKER_PATTERN,
        description="Only those with this masker and these numbers, such as blur(16,16)",
    )
    label: str | None = Field(
        None,
        max_length=1000,
        description="Only those with a result, if the explained output with the highest score has "
        "this label or index",
    )
    warning: WarningCode | None = Field(
        None, description="Only those whose result has this warning"
    )
    true_label: str | None = Field(
        None,
        max_length=1000,
        description="Only those of a picture that truly shows the class of this label or index",
    )
    correct: Literal["true", "false", "null"] | None = Field(
        None,
        description="Only those whose `correct` is this; null: also those without a result",
    )
    review: Literal["accept", "reject", "override", "none"] | None = Field(
        None, description="Only those whose last review has this verdict; none: those without one"
    )
    held: Literal["true"] | None = Field(None, description="Only those that somebody holds")
    batch: str | None = Field(
        None, pattern=f"^{BATCH_ID.pattern}$", description="Only those of this batch"
    )
    picture: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="Only those of a picture with this SHA-256"
    )
    name: str | None = Field(
        None,
        max_length=200,
        description="Only those whose file name has all these words and numbers, in any order and "
        "in large or small letters: `robin 12` finds `12_Robin.jpg`, `rob` does not. Only the "
        f"first {MAX_NAME_WORDS} words of a file name can be found",
    )
    metadata: list[Entry] = Field(
        default_factory=list,
        max_length=MAX_METADATA_FILTERS,
        description="KEY=VALUE; only those with this entry in their metadata; may be repeated. "
        "Write text as it is, and numbers, true, false and null as in JSON. Only the first "
        f"{MAX_METADATA} entries that are neither lists nor objects can be found, with keys of up "
        f"to {MAX_METADATA_KEY} characters without `=` and values of up to {MAX_METADATA_VALUE}",
    )
    created_after: AwareDatetime | None = Field(
        None, description="Only those created at this time or later"
    )
    created_before: AwareDatetime | None = Field(
        None, description="Only those created before this time"
    )

    def selection(self, caller: Principal) -> Selection:
        """Returns the selection of the filters and the caller.

        Raises ApiError forbidden, invalid_parameter.
        """
        given = {
            "status": self.status,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "method": self.method,
            "masker": self.masker and masker_value(self.masker),
            "label": self.label,
            "warning": self.warning,
            "truth": self.true_label,
            "correct": self.correct,
            "review": self.review,
            "held": self.held,
            "batch": self.batch,
            "picture": self.picture,
        }
        words = [word(facet, value) for facet, value in given.items() if value is not None]
        if self.name is not None:
            names = name_words(self.name)
            if not names:
                detail = f"name {self.name!r} has neither letters nor digits; give words of it"
                raise ApiError(ErrorCode.INVALID_PARAMETER, detail, "name", self.name)
            words += [word("name", each) for each in names]
        for entry in self.metadata:
            key, _, text = entry.partition("=")
            words.append(word("metadata", metadata_value(key, text)))
        owner, facets = self.owner_for(caller), [facet_key_of(each) for each in words]
        # the list of all explanations would narrow nothing
        listed = [] if owner is None and facets else [index_of(owner)]
        return Selection(
            sets=[*listed, *facets],
            newest=self.order == "newest",
            since=_seconds(self.created_after),
            before=_seconds(self.created_before),
        )


def _seconds(moment: datetime | None) -> float | None:
    """Returns the time, half a microsecond earlier, as documents round times to microseconds."""
    return moment.timestamp() - 5e-7 if moment else None
