"""Turns the errors that a task may end by into its result; any other error is a fault of ours."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from service.images.decoding import PictureError
from service.images.label_maps import LabelMapError
from service.infra.artifact_store import StoreError
from service.schemas.documents import ErrorCode
from worker.engine.control import Interruption
from worker.engine.errors import EngineError, PredictorError, RequestError, ScoresError
from worker.models.errors import ModelUnavailableError
from worker.task import Task, TaskResult, failed, failed_unexpectedly

T = TypeVar("T")

log = structlog.get_logger(__name__)


def result_of(task: Task, action: Callable[[], T]) -> T | TaskResult | Interruption:
    """Run an action for a task; return its value, or the task's ending for an expected error."""
    with structlog.contextvars.bound_contextvars(**task.log_fields):
        try:
            return action()
        except Interruption as interruption:
            return interruption
        except ModelUnavailableError as error:
            return failed(ErrorCode.MODEL_UNAVAILABLE, str(error))
        except PictureError as error:
            return failed(ErrorCode.INVALID_IMAGE, str(error))
        except LabelMapError as error:
            return failed(ErrorCode.INVALID_LABEL_MAP, str(error))
        except StoreError as error:
            log.error("the store failed", reason=str(error), cause=error.cause)
            return failed(ErrorCode.STORE_UNAVAILABLE, str(error))
        except (PredictorError, ScoresError) as error:
            return failed(ErrorCode.MODEL_FAILED, str(error))
        except RequestError as error:  # the engine errors that a client can cause
            field = error.field and f"settings.{error.field}"
            return failed(
                ErrorCode.INVALID_SETTINGS,
                str(error),
                field=field,
                received=error.received,
                accepted=error.accepted,
            )
        except EngineError as error:
            log.exception("unexpected error", ids=[task.state.id])
            return failed_unexpectedly(error)
