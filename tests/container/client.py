"""What tests/container/run asks of a container over HTTP; the standard library is enough for it.

client.py ready PORT SECONDS        wait until /health/ready answers 200
client.py models PORT               print the names of the models, one a line
client.py golden PORT PATH MODEL    POST the model's golden rows to PATH and compare the answers
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from typing import Any


class Refused(Exception):
    """The container did not do what was asked; the message is the line to show."""


def ask(port: int, method: str, path: str, body: object = None) -> Any:
    """The JSON answer of one request, which must be 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise Refused(f"{method} {path} answered {response.status}: {answer[:200].decode(errors='replace')}")
    return json.loads(answer)


def ready(port: int, seconds: float) -> None:
    """Ask for /health/ready until it answers 200 or the time is over."""
    end = time.monotonic() + seconds
    while True:
        try:
            ask(port, "GET", "/health/ready")
        except (OSError, http.client.HTTPException, Refused) as error:
            if time.monotonic() > end:
                raise Refused(f"not ready after {seconds:g} s: {error}") from error
            time.sleep(0.1)
        else:
            return


def models(port: int) -> None:
    """Print the names of the models that are served."""
    for model in ask(port, "GET", "/models")["models"]:
        sys.stdout.write(f"{model['name']}\n")


def golden(port: int, path: str, name: str) -> None:
    """Send a model's golden rows to a path; each answer must be within the tolerance they come with."""
    rows = ask(port, "GET", f"/models/{name}")["metadata"]["golden"]
    answer = ask(port, "POST", path, {"inputs": rows["inputs"]})
    if answer["model"] != name:
        raise Refused(f"{path} was answered by model {answer['model']}, expected {name}")
    outputs = answer.get("probabilities") or [[value] for value in answer["predictions"]]
    if len(outputs) != len(rows["outputs"]):
        raise Refused(f"{path} gave {len(outputs)} answers to {len(rows['outputs'])} rows")
    worst = max(map(row_error, outputs, rows["outputs"]))
    if not worst <= rows["tolerance"]:
        raise Refused(f"{path} is off by {worst:.3g}, the tolerance is {rows['tolerance']:.3g}")


def row_error(output: list[float], truth: list[float]) -> float:
    """max|y − t| / max|t|, the measure of the certificate."""
    difference = max(abs(y - t) for y, t in zip(output, truth, strict=True))
    return difference / max(map(abs, truth)) if difference else 0.0


def main(command: str, port: str, *rest: str) -> None:
    """Run one command; a refusal is one line on stderr and exit code 1."""
    try:
        if command == "ready":
            ready(int(port), float(rest[0]))
        elif command == "models":
            models(int(port))
        else:
            golden(int(port), *rest)
    except (OSError, http.client.HTTPException, Refused) as error:
        sys.exit(str(error) or type(error).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
