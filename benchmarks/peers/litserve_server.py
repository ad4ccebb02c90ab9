"""LitServe as its documentation has it: one worker on the CPU, the fast queue on, no access log.

Its batching waits for a time-out, which costs a lone request that time; without batching it is faster here.
"""

import os
import sys

import litserve
import numpy as np
import onnxruntime


class Network(litserve.LitAPI):
    """The four steps of a LitServe API."""

    def setup(self, device):
        """Load once in each worker."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    def decode_request(self, request):
        """JSON → array."""
        return np.array(request["inputs"], np.float32)

    def predict(self, x):
        """Run the model."""
        return self.session.run(None, {"x": x})[0]

    def encode_response(self, output):
        """Array → JSON."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Network(), accelerator="cpu", fast_queue=True)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="error")
