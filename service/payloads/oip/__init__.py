"""The Open Inference Protocol v2: request bytes → named arrays, arrays → answer bytes.

A request is a JSON header, after it the binary tensors in the order in which the header lists them. The
header is read twice over at most: `outline` takes the usual form with simdjson, number lists straight into
buffers; whatever it does not accept goes to `document`, which alone decides what a bad request is told.
"""

from service.payloads.oip.decode import Decoder, InferRequest, Wanted
from service.payloads.oip.encode import Answer, Encoder

__all__ = ["Answer", "Decoder", "Encoder", "InferRequest", "Wanted"]
