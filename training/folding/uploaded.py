"""A process that folds one ONNX file: the file comes in on stdin, the report goes out on stdout as JSON.

The service starts it for files of strangers: it limits itself before it reads a byte, and opens no file that
the model names. Nothing is written.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

REFUSED, MISSING, MEMORY, BROKEN = 3, 4, 5, 6
"""What the process ends with: the file cannot be folded, packages are not there, the memory did not do, and a
fault of ours."""

_MEMORY = 4 << 30
"""Bytes of address space: the libraries reserve about one GiB before they begin."""


def main() -> int:
    """Fold what comes in; the exit code says how it went."""
    limit(int(sys.argv[1]))
    try:
        report = report_of(sys.stdin.buffer.read())
    except ImportError:
        return MISSING
    except MemoryError:
        return MEMORY
    except RecursionError:
        return _end(REFUSED, "the graph is nested too deeply to fold")
    except Exception as error:
        from training.errors import TrainingError

        if isinstance(error, TrainingError):
            return _end(REFUSED, str(error))
        return _end(BROKEN, type(error).__name__)
    sys.stdout.write(json.dumps(report, ensure_ascii=False))
    return 0


def limit(seconds: int) -> None:
    """No more time and memory than this, and no file of any size."""
    for kind, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    # At the first of the two the process ends by SIGXCPU, which says why; SIGKILL could be anybody's.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def report_of(file: bytes) -> dict[str, Any]:
    """The report of folding a file, with the graph before and after.

    Raises:
        InvalidModelError: it is not ONNX, is not valid, or keeps weights in other files.
    """
    import onnx
    from google.protobuf.message import DecodeError

    from service.outline import outline
    from training.folding.onnx_graph import InvalidModelError, fold_onnx

    try:
        model = onnx.load_from_string(file)
    except (DecodeError, ValueError) as error:
        raise InvalidModelError("this is not an ONNX file") from error
    if not model.HasField("graph"):
        raise InvalidModelError("this is not an ONNX file: it holds no graph")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model)):
        raise InvalidModelError(
            "the file keeps weights in other files (external data): use `foldserve fold` where they are"
        )
    folded = fold_onnx(model)
    after = folded.model.SerializeToString()
    return asdict(folded.report) | {
        "folded": folded.report.folded,
        "before": [layer.model_dump() for layer in outline(file)],
        "after": [layer.model_dump() for layer in outline(after)],
    }


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor in a message, wherever it hides: initialisers, attributes, subgraphs, functions."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for each in value if field.is_repeated else (value,):
            if field.message_type.name == "TensorProto":
                yield each
            else:
                yield from _tensors(each)


def _end(code: int, line: str) -> int:
    sys.stdout.write(json.dumps({"error": " ".join(line.split())}))
    return code


if __name__ == "__main__":
    sys.exit(main())
