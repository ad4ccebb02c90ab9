"""BentoML as its documentation has it: a service class, one worker, an API that takes and gives arrays as
JSON."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": True})
class Network:
    """One model."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    @bentoml.api
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Run the model."""
        return self.session.run(None, {"x": inputs.astype(np.float32)})[0]
