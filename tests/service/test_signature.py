import pytest

from service.errors import UnsupportedSignature
from service.session import TensorSpec
from service.signature import read_signature
from tests.records import metadata

OUTPUT = TensorSpec("y", "float32", (None, 2))


def table(width: int | None, dtype: str = "float32", rows: int | None = None) -> TensorSpec:
    return TensorSpec("x", dtype, (rows, width))


def test_names_come_from_the_metadata() -> None:
    signature = read_signature([table(3)], [OUTPUT], metadata(3))
    assert (signature.features, signature.width, signature.named) == (("f0", "f1", "f2"), 3, True)


def test_a_bare_graph_gets_names_from_positions() -> None:
    signature = read_signature([table(2, "float64", rows=4)], [OUTPUT], None)
    assert (signature.features, signature.rows, signature.dtype) == (("f0", "f1"), 4, "float64")
    assert not signature.named


def test_a_graph_may_leave_the_number_of_features_open() -> None:
    signature = read_signature([table(None)], [OUTPUT], None)
    assert signature.width is None
    assert signature.feature(7) == "7"


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([table(2), table(2)], "2 inputs"),
        ([TensorSpec("image", "float32", (None, 3, 8, 8))], "image"),
        ([table(2, "string")], "string"),
        ([], "0 inputs"),
    ],
)
def test_what_is_not_one_table_of_numbers_is_refused(inputs: list[TensorSpec], reason: str) -> None:
    with pytest.raises(UnsupportedSignature, match=reason):
        read_signature(inputs, [OUTPUT], None)


def test_the_first_output_that_is_a_tensor_holds_the_predictions() -> None:
    outputs = [TensorSpec("map", "seq(map(int64,tensor(float)))", ()), OUTPUT]
    assert read_signature([table(2)], outputs, None).output == "y"
    with pytest.raises(UnsupportedSignature, match="none of its outputs"):
        read_signature([table(2)], outputs[:1], None)


def test_metadata_that_contradict_the_graph_are_refused() -> None:
    with pytest.raises(ValueError, match="3 features, its graph takes 2"):
        read_signature([table(2)], [OUTPUT], metadata(3))
