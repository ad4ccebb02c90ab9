"""Ray Serve as its documentation has it: a deployment that reads the request, throughput options on."""

import os

import numpy as np
import onnxruntime
from ray import serve
from starlette.requests import Request


@serve.deployment(max_ongoing_requests=100, ray_actor_options={"num_cpus": 0.5})
class Network:
    """One replica."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    async def __call__(self, request: Request):
        """Run the model."""
        x = np.array((await request.json())["inputs"], np.float32)
        return {"predictions": self.session.run(None, {"x": x})[0].tolist()}


app = Network.bind()
