"""The gRPC door: the Open Inference Protocol v2 and the health protocol, in the process that serves HTTP.

Imported only when a gRPC port is asked for: grpcio and protobuf are an extra. The rules for tensors are those
of `payloads.oip`; what the models are and have done is told by the functions behind the REST routes.
"""
