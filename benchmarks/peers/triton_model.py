"""Triton's Python backend calling onnxruntime; the server is the binary that nvidia-pytriton carries."""

import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb


class TritonPythonModel:
    """One model, asked by the Open Inference Protocol."""

    def initialize(self, args):
        """Load once."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    def execute(self, requests):
        """Run the model for each request of a batch."""
        answers = []
        for request in requests:
            x = pb.get_input_tensor_by_name(request, "x").as_numpy()
            y = self.session.run(None, {"x": x})[0].astype(np.float32)
            answers.append(pb.InferenceResponse(output_tensors=[pb.Tensor("y", y)]))
        return answers
