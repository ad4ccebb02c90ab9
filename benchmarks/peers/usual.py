"""The endpoint that most people write, as FastAPI's tutorial has it: pydantic models in and out, `def`."""

import os

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Request(BaseModel):
    """Rows of features."""

    inputs: list[list[float]]


class Response(BaseModel):
    """A list of outputs for each row."""

    predictions: list[list[float]]


@app.post("/predict")
def predict(request: Request) -> Response:
    """Run the model."""
    outputs = session.run(None, {"x": np.array(request.inputs, np.float32)})[0]
    return Response(predictions=outputs.tolist())
