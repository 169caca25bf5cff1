"""The report of an explanation as PDF: its page, printed."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.http.openapi_responses import IF_NONE_MATCH, binary, shows_result
from service.api.results.pdf import PDF, print_pdf, require_printer
from service.api.results.report import write_report
from service.api.results.report_response import reported_state, respond_report
from service.api.services import RequestServicesDep
from service.schemas.documents import ErrorCode

router = APIRouter(prefix="/v1/explanations", tags=["evidence"])


@router.get(
    "/{explanation_id}/report.pdf",
    response_class=Response,
    openapi_extra={"parameters": [IF_NONE_MATCH]},
    responses=shows_result(
        ErrorCode.NOT_INSTALLED, content=binary(PDF), description="The report, printed"
    ),
)
async def get_report_pdf(
    request: Request, services: RequestServicesDep, explanation_id: str
) -> Response:
    """Get the report as PDF: the pages that `report.html` prints as.

    It needs the extra `pdf`; the image of the API has it.
    """
    state = await reported_state(services, explanation_id)
    require_printer()
    return await respond_report(
        request,
        services,
        state,
        lambda: print_pdf(write_report(services.process, state)),
        PDF,
        f"{state.id}-report.pdf",
    )
