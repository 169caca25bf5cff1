"""`explain` of KServe and of Vertex AI: ordinary explanations, answered in another form."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.facades import calls
from service.api.facades.openapi import explain_request, explain_responses
from service.api.http.problems import ApiError, retry_after
from service.api.services import RequestServicesDep
from service.schemas.documents import ErrorCode
from service.schemas.explain_protocols import (
    KServeRequest,
    KServeResponse,
    VertexRequest,
    VertexResponse,
)

router = APIRouter(tags=["other protocols"])


@router.post(
    "/v1/models/{name}:explain",
    response_model=KServeResponse | VertexResponse,
    openapi_extra=explain_request(KServeRequest, VertexRequest),
    responses=explain_responses(any_form=True),
)
async def explain_instances(request: Request, services: RequestServicesDep, name: str) -> Response:
    """Explain pictures in the form of KServe's V1 protocol.

    A request with `explanationSpecOverride` or `deployedModelId` has the form of Vertex AI, and so
    has its answer. It waits for the result as long as `Prefer: wait=N` says, by default for
    `SHAPSHOT_EXPLAIN_WAIT_S`; after that it is 202 with the document of the explanation, or of the
    batch of several.
    """
    call = await calls.accept(request, services, name, is_vertex=False)
    states = await calls.states_after_wait(request, services, call)
    if states is None:
        return await calls.later_answer(services, call)
    return calls.whole_answer(request, services, call, states)


@router.post(
    "/v1beta1/projects/{project}/locations/{location}/endpoints/{endpoint}:explain",
    name="explain_endpoint_beta",
    description="The same as at `/v1`, for the clients of `v1beta1`.",
    response_model=VertexResponse,
    openapi_extra=explain_request(VertexRequest),
    responses=explain_responses(any_form=False),
)
@router.post(
    "/v1/projects/{project}/locations/{location}/endpoints/{endpoint}:explain",
    response_model=VertexResponse,
    openapi_extra=explain_request(VertexRequest),
    responses=explain_responses(any_form=False),
)
async def explain_endpoint(
    request: Request, services: RequestServicesDep, project: str, location: str, endpoint: str
) -> Response:
    """Explain pictures in the form of Vertex AI, at the path that its clients call.

    The endpoint is the name of a model; project and location may be any. As these clients take
    every answer that is no error for the whole result, one that is not there in time is 504; the
    explanation goes on, and the same request gets its result later.
    """
    call = await calls.accept(request, services, endpoint, is_vertex=True)
    states = await calls.states_after_wait(request, services, call)
    if states is None:
        path = call.path(services.root_path)
        detail = f"{path} is not done and goes on: see it there, or send the same request again"
        headers = retry_after() | {"Location": path}
        raise ApiError(ErrorCode.DEADLINE_EXCEEDED, detail, "instances", headers=headers)
    return calls.whole_answer(request, services, call, states)
