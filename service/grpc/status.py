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
    errors.UnknownModel: StatusCode.NOT_FOUND,
    errors.UnknownVersion: StatusCode.NOT_FOUND,
    errors.NoDefaultModel: StatusCode.NOT_FOUND,
    errors.UnknownRegion: StatusCode.NOT_FOUND,
    errors.ModelUnavailable: StatusCode.UNAVAILABLE,
    errors.NothingServed: StatusCode.UNAVAILABLE,
    errors.RepositoryClosed: StatusCode.PERMISSION_DENIED,
    errors.SettingFixed: StatusCode.PERMISSION_DENIED,
    errors.UnsupportedSignature: StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    errors.ClientGone: StatusCode.CANCELLED,
}
