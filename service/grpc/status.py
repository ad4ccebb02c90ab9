"""The gRPC status of each error that a request can meet; the statuses of HTTP are in `app`."""

from __future__ import annotations

from grpc import StatusCode

from service import errors

STATUS: dict[type[errors.RequestError], StatusCode] = {
    errors.MalformedBody: StatusCode.INVALID_ARGUMENT,
    errors.InvalidRows: StatusCode.INVALID_ARGUMENT,
    errors.InvalidTensors: StatusCode.INVALID_ARGUMENT,
    errors.RunFailed: StatusCode.INVALID_ARGUMENT,
    errors.BodyTooLarge: StatusCode.RESOURCE_EXHAUSTED,
    errors.TooManyNumbers: StatusCode.RESOURCE_EXHAUSTED,
    errors.TooManyRows: StatusCode.RESOURCE_EXHAUSTED,
    errors.InvalidHeader: StatusCode.INVALID_ARGUMENT,
    errors.UnsupportedMediaType: StatusCode.INVALID_ARGUMENT,
    errors.NotAcceptable: StatusCode.INVALID_ARGUMENT,
    errors.Unauthorized: StatusCode.UNAUTHENTICATED,
    errors.UnknownModel: StatusCode.NOT_FOUND,
    errors.UnknownVersion: StatusCode.NOT_FOUND,
    errors.NoDefaultModel: StatusCode.NOT_FOUND,
    errors.UnknownRegion: StatusCode.NOT_FOUND,
    errors.UnknownService: StatusCode.NOT_FOUND,
    errors.ModelUnavailable: StatusCode.UNAVAILABLE,
    errors.NothingServed: StatusCode.UNAVAILABLE,
    errors.RepositoryClosed: StatusCode.PERMISSION_DENIED,
    errors.FoldingClosed: StatusCode.PERMISSION_DENIED,
    errors.FolderMissing: StatusCode.UNAVAILABLE,
    errors.FolderBusy: StatusCode.UNAVAILABLE,
    errors.Unfoldable: StatusCode.INVALID_ARGUMENT,
    errors.LoadFailed: StatusCode.INVALID_ARGUMENT,
    errors.Unconfirmed: StatusCode.UNAVAILABLE,
    errors.SettingFixed: StatusCode.PERMISSION_DENIED,
    errors.UnsupportedSignature: StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    errors.MalformedRequest: StatusCode.INVALID_ARGUMENT,
    errors.HeadTooLarge: StatusCode.RESOURCE_EXHAUSTED,
    errors.TooSlow: StatusCode.DEADLINE_EXCEEDED,
    errors.TooManyConnections: StatusCode.UNAVAILABLE,
    errors.ShuttingDown: StatusCode.UNAVAILABLE,
    errors.ClientGone: StatusCode.CANCELLED,
}

_HTTP = {
    StatusCode.OK: 200,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}


def http_status(code: StatusCode) -> int:
    """What the log, which knows both doors, calls the end of a call: who was at fault, in HTTP's hundreds."""
    return _HTTP.get(code, 400)
