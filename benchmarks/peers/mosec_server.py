"""mosec as its documentation has it: one worker, JSON by msgspec, no dynamic batching for a model this
small."""

import os

import msgspec
import numpy as np
import onnxruntime
from mosec import Server, Worker


class Network(Worker):
    """The model in its own process behind mosec's Rust front."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    def deserialize(self, data):
        """JSON → array."""
        return np.array(msgspec.json.decode(data)["inputs"], np.float32)

    def forward(self, data):
        """Run the model."""
        return self.session.run(None, {"x": data})[0]

    def serialize(self, data):
        """Array → JSON."""
        return msgspec.json.encode({"predictions": data.tolist()})


if __name__ == "__main__":
    server = Server()
    server.append_worker(Network, num=1)
    server.run()
