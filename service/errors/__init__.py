"""What can go wrong, as facts. No HTTP here: `app` holds the table from class to status.

FoldserveError
├── RequestError               a request that cannot be answered: what came, what was wanted, where
│   ├── MalformedBody          not in the form that its Content-Type names
│   ├── InvalidRows            the rows do not fit the model's signature
│   ├── InvalidTensors         the tensors do not fit the model, or the request the protocol
│   ├── RunFailed              the graph has no result for these inputs
│   ├── BodyTooLarge
│   ├── TooManyNumbers         a small body that unpacks to a large table
│   ├── TooManyRows
│   ├── InvalidHeader          a header that asks for what cannot be
│   ├── UnsupportedMediaType   a form that is not read
│   ├── NotAcceptable          a form that is not written
│   ├── Unauthorized           no API key, or an unknown one
│   ├── UnknownModel
│   ├── UnknownVersion
│   ├── NoDefaultModel
│   ├── ModelUnavailable       it is there, but it is not served
│   ├── NothingServed          no model answers
│   ├── RepositoryClosed       models are not loaded and unloaded over HTTP here
│   ├── FoldingClosed          files are not folded over HTTP here
│   ├── FolderMissing          the packages that fold are not installed
│   ├── FolderBusy             as many files as may be are being folded
│   ├── Unfoldable             a file that cannot be folded
│   ├── LoadFailed             a model could not be loaded as it was asked
│   ├── Unconfirmed            not every worker has said that it did what was asked
│   ├── SettingFixed           what only a restart changes
│   ├── UnknownRegion          no shared memory of that name
│   ├── UnknownService         gRPC's health protocol asks for a service that is not here
│   ├── UnsupportedSignature   it is served, but not through this door
│   ├── Overloaded             too many rows wait already
│   ├── DeadlineExceeded       the answer would come too late
│   ├── ClientGone             nobody waits for the answer
│   ├── ShuttingDown           the server has been told to end
│   ├── MalformedRequest       not HTTP
│   ├── HeadTooLarge           the request line and headers
│   ├── TooSlow                the request did not arrive in time
│   └── TooManyConnections
├── UnreadableModel            a file that cannot become a session
├── UnreadableKeys             a file of API keys that cannot be read
├── UnreadableTable            a file of rows that cannot be read
├── RuntimeMissing             onnxruntime is not installed
├── DeviceUnavailable          the device asked for cannot be had
├── GrpcUnavailable            the gRPC door cannot be opened
├── AddressUnavailable         the host and port cannot be listened on
├── CertificateUnusable        HTTPS cannot be spoken with these files
└── WorkerFailed               a worker process cannot start
"""

from __future__ import annotations

from service.errors.base import FoldserveError, RequestError
from service.errors.body import (
    BodyTooLarge,
    InvalidHeader,
    InvalidRows,
    InvalidTensors,
    MalformedBody,
    NotAcceptable,
    RunFailed,
    TooManyNumbers,
    TooManyRows,
    Unauthorized,
    UnsupportedMediaType,
)
from service.errors.conduct import (
    ClientGone,
    DeadlineExceeded,
    HeadTooLarge,
    MalformedRequest,
    Overloaded,
    ShuttingDown,
    TooManyConnections,
    TooSlow,
)
from service.errors.model import (
    FolderBusy,
    FolderMissing,
    FoldingClosed,
    LoadFailed,
    ModelUnavailable,
    NoDefaultModel,
    NothingServed,
    RepositoryClosed,
    SettingFixed,
    Unconfirmed,
    Unfoldable,
    UnknownModel,
    UnknownRegion,
    UnknownService,
    UnknownVersion,
    UnsupportedSignature,
)
from service.errors.start import (
    AddressUnavailable,
    CertificateUnusable,
    DeviceUnavailable,
    GrpcUnavailable,
    RuntimeMissing,
    UnreadableKeys,
    UnreadableModel,
    UnreadableTable,
    WorkerFailed,
)

__all__ = [
    "AddressUnavailable",
    "BodyTooLarge",
    "CertificateUnusable",
    "ClientGone",
    "DeadlineExceeded",
    "DeviceUnavailable",
    "FolderBusy",
    "FolderMissing",
    "FoldingClosed",
    "FoldserveError",
    "GrpcUnavailable",
    "HeadTooLarge",
    "InvalidHeader",
    "InvalidRows",
    "InvalidTensors",
    "LoadFailed",
    "MalformedBody",
    "MalformedRequest",
    "ModelUnavailable",
    "NoDefaultModel",
    "NotAcceptable",
    "NothingServed",
    "Overloaded",
    "RepositoryClosed",
    "RequestError",
    "RunFailed",
    "RuntimeMissing",
    "SettingFixed",
    "ShuttingDown",
    "TooManyConnections",
    "TooManyNumbers",
    "TooManyRows",
    "TooSlow",
    "Unauthorized",
    "Unconfirmed",
    "Unfoldable",
    "UnknownModel",
    "UnknownRegion",
    "UnknownService",
    "UnknownVersion",
    "UnreadableKeys",
    "UnreadableModel",
    "UnreadableTable",
    "UnsupportedMediaType",
    "UnsupportedSignature",
    "WorkerFailed",
]
