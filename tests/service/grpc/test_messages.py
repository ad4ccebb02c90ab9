"""The messages are those of the .proto files, which are those of the public specifications."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from service.grpc import messages
from service.routes.oip_forms import Count

PROTOS = Path(messages.__file__).parent / "protos"

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tritonclient.grpc import model_config_pb2, service_pb2

OURS_ALONE = {"SharedMemoryRequest", "SharedMemoryStatusResponse", "SharedMemoryResponse"}
"""Names that stand for several of the specification's."""

BEYOND_TRITON = {("ModelMetadataResponse", "properties")}
"""Fields of the Open Inference Protocol that Triton's messages lack."""


def test_what_is_committed_is_what_make_proto_makes(tmp_path: Path) -> None:
    made = tmp_path / "made.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTOS), f"--descriptor_set_out={made}"]
    subprocess.run([*command, "inference.proto", "health.proto"], check=True)
    read = descriptor_pb2.FileDescriptorSet.FromString
    assert read(made.read_bytes()) == read((PROTOS / "served.binpb").read_bytes())


def test_every_field_has_the_name_number_and_type_that_triton_gives_it() -> None:
    [file] = [
        file
        for file in descriptor_pb2.FileDescriptorSet.FromString((PROTOS / "served.binpb").read_bytes()).file
        if file.package == "inference"
    ]
    known = {
        **service_pb2.DESCRIPTOR.message_types_by_name,
        **model_config_pb2.DESCRIPTOR.message_types_by_name,
    }
    for ours in file.message_type:
        if ours.name not in OURS_ALONE:
            compare(ours, known[ours.name])
    for enum in file.enum_type:
        theirs = model_config_pb2.DESCRIPTOR.enum_types_by_name[enum.name]
        assert {value.name: value.number for value in enum.value} == {
            value.name: value.number for value in theirs.values
        }


def compare(ours: Any, theirs: Any) -> None:
    for field in ours.field:
        if (ours.name, field.name) in BEYOND_TRITON:
            continue
        found = theirs.fields_by_name[field.name]
        assert (field.number, field.type) == (found.number, found.type), f"{ours.name}.{field.name}"
        assert (field.label == field.LABEL_REPEATED) == found.is_repeated
    for nested in ours.nested_type:
        if nested.name == "PropertiesEntry":
            continue
        compare(nested, theirs.nested_types_by_name[nested.name])


def test_every_call_of_triton_is_served_under_its_name() -> None:
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    assert set(messages.methods(messages.INFERENCE)) == set(theirs)


def test_our_messages_stand_beside_tritons_in_one_process() -> None:
    theirs = service_pb2.ModelInferRequest(model_name="m", raw_input_contents=[b"a"])
    ours = messages.ModelInferRequest.FromString(theirs.SerializeToString())
    assert (ours.model_name, list(ours.raw_input_contents)) == ("m", [b"a"])
    assert messages.ModelInferRequest is not service_pb2.ModelInferRequest


@pytest.mark.parametrize("given", [{"count": 3, "ns": 4, "more": [1]}, Count(count=3, ns=4)])
def test_answers_of_the_rest_door_become_messages(given: Any) -> None:
    message: Any = messages.as_message(given, messages.message("inference.StatisticDuration"))
    assert (message.count, message.ns) == (3, 4)
    assert messages.as_message(message, messages.message("inference.StatisticDuration")) is message


def test_counts_beyond_32_bits_are_kept() -> None:
    message: Any = messages.as_message({"ns": 2**62}, messages.message("inference.StatisticDuration"))
    assert message.ns == 2**62
