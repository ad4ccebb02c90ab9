"""MLServer as its documentation has it: a custom runtime with the NumPy codec, no parallel workers for one
model."""

import os

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Network(MLModel):
    """One model, asked by the Open Inference Protocol."""

    async def load(self) -> bool:
        """Load once."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model."""
        x = NumpyCodec.decode_input(payload.inputs[0])
        output = self.session.run(None, {"x": x.astype("float32")})[0]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(name="y", payload=output)]
        )
