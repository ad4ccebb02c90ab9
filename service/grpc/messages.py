"""The messages and services of protos/, as classes of a pool of their own.

Clients such as tritonclient bring generated modules for files and messages of the same names. In protobuf's
default pool two definitions of one name are an error, so that a program could not hold both; ours never enter
it. The descriptors are compiled by `make proto`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel

INFERENCE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"

Reply: TypeAlias = Message | BaseModel | Mapping[str, Any]
"""An answer: the message itself, or what holds its fields by their names."""


def _pool() -> descriptor_pool.DescriptorPool:
    compiled = (files("service.grpc") / "protos" / "served.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled).file:
        pool.Add(file)
    return pool


_POOL = _pool()


def message(name: str) -> type[Message]:
    """The class of a message, by its full name."""
    return class_of(_POOL.FindMessageTypeByName(name))


def class_of(descriptor: Descriptor) -> type[Message]:
    """The class of a message."""
    kind: type[Message] = message_factory.GetMessageClass(descriptor)
    return kind


def methods(service: str) -> dict[str, MethodDescriptor]:
    """The methods of a service by name."""
    return dict(_POOL.FindServiceByName(service).methods_by_name)


def as_message(reply: Reply, kind: type[Message]) -> Message:
    """An answer as a message; fields that it does not have are left out, as null ones are."""
    if isinstance(reply, Message):
        return reply
    fields = reply.model_dump(exclude_none=True) if isinstance(reply, BaseModel) else reply
    return json_format.ParseDict(fields, kind(), ignore_unknown_fields=True, descriptor_pool=_POOL)


ModelInferRequest: Any = message("inference.ModelInferRequest")
ModelInferResponse: Any = message("inference.ModelInferResponse")
ModelStreamInferResponse: Any = message("inference.ModelStreamInferResponse")
