"""ModelInfer and ModelStreamInfer: the way of a prediction, the same as through HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grpc import StatusCode

from service.errors import RequestError, TooManyRows
from service.grpc.calls import INTERNAL, Call
from service.grpc.decode import decode
from service.grpc.encode import encode
from service.grpc.messages import ModelInferRequest, ModelStreamInferResponse
from service.grpc.status import STATUS


async def model_infer(message: Any, call: Call) -> Any:
    """Tensors in, tensors out. A client that cancels is not computed for: gRPC cancels this coroutine."""
    state, watch = call.state, call.watch
    model = state.repository.find(message.model_name, message.model_version or None)
    with model.serving(watch):
        request = await call.sized(message.ByteSize(), decode, message, model.tensors.decode)
        if request.timeout is not None:
            watch.limit(request.timeout)
        watch.rows = request.rows
        watch.decode = watch.lap()
        if request.rows > (most := state.settings.max_rows):
            raise TooManyRows(request.rows, most)
        names = [wanted.name for wanted in request.outputs]
        arrays = await model.infer(request.feeds, names, request.rows, watch)
        watch.lap()
        size = sum(array.nbytes for array in arrays)
        response = await call.sized(size, encode, model, request, arrays)
        watch.encode = watch.lap()
    return response


class Stream:
    """ModelStreamInfer: requests are answered one after the other, in the order in which they came.

    A stream ends with its client, or between two requests when the server ends.
    """

    def __init__(self, closing: asyncio.Event) -> None:
        self._closing = closing

    async def __call__(self, bodies: AsyncIterator[bytes], call: Call) -> AsyncIterator[Any]:
        """The answers; what a request is refused with does not end its stream."""
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            while (body := await _next(bodies, closing)) is not None:
                yield await _answer(body, Call(call.state, call.context, call.method))
        finally:
            closing.cancel()


async def _next(bodies: AsyncIterator[bytes], closing: asyncio.Future[Any]) -> bytes | None:
    """The next request of a stream; None when there will be none."""
    coming = asyncio.ensure_future(anext(bodies, None))
    try:
        await asyncio.wait((coming, closing), return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        coming.cancel()


async def _answer(body: bytes, call: Call) -> Any:
    call.watch.begin()
    try:
        message = await call.parse(ModelInferRequest, body)
    except RequestError as error:
        call.tell(STATUS[type(error)], error)
        return ModelStreamInferResponse(error_message=str(error))
    try:
        response = await model_infer(message, call)
    except RequestError as error:
        call.tell(STATUS[type(error)], error)
        return ModelStreamInferResponse(error_message=str(error), infer_response={"id": message.id})
    except Exception as error:
        call.tell(StatusCode.INTERNAL, error)
        return ModelStreamInferResponse(error_message=INTERNAL, infer_response={"id": message.id})
    call.tell(StatusCode.OK)
    # Triton's clients ask whether more answers to the same request will follow.
    response.parameters["triton_final_response"].bool_param = True
    return ModelStreamInferResponse(infer_response=response)
