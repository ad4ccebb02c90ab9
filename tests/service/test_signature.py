from typing import Any

import pytest

from service.errors import UnsupportedSignature
from service.metadata import Feature
from service.session import TensorSpec
from service.signature import Column, Input, read_signature
from tests.records import metadata

OUTPUT = TensorSpec("y", "float32", (None, 2))


def table(width: int | None, dtype: str = "float32", rows: int | None = None) -> TensorSpec:
    return TensorSpec("x", dtype, (rows, width))


def column(name: str, dtype: str = "float32", *, flat: bool = False) -> TensorSpec:
    return TensorSpec(name, dtype, (None,) if flat else (None, 1))


def mixed(*kinds: str, **changes: Any) -> Any:
    """Metadata of features c0, n1, … whose kinds are given by their first letter."""
    full = {"c": "categorical", "n": "numeric"}
    features = [Feature(name=f"{kind}{i}", kind=full[kind], **changes) for i, kind in enumerate(kinds)]  # type: ignore[arg-type]
    return metadata(features=len(kinds)).model_copy(update={"features": tuple(features)})


def test_names_come_from_the_metadata() -> None:
    signature = read_signature([table(3)], [OUTPUT], metadata(3))
    assert (signature.features, signature.width, signature.named) == (("f0", "f1", "f2"), 3, True)
    assert signature.table == Input("x", "float32", (0, 1, 2))


def test_a_bare_graph_gets_names_from_positions() -> None:
    signature = read_signature([table(2, "float64", rows=4)], [OUTPUT], None)
    assert (signature.features, signature.rows) == (("f0", "f1"), 4)
    assert signature.column(1) == Column("f1", "float64")
    assert not signature.named


def test_a_graph_may_leave_the_number_of_features_open() -> None:
    signature = read_signature([table(None)], [OUTPUT], None)
    assert signature.width is None
    assert signature.column(7) == Column("7", "float32")


def test_inputs_of_one_column_each_are_named_by_the_graph() -> None:
    inputs = [column("age"), column("vip", "bool", flat=True), column("city", "string")]
    signature = read_signature(inputs, [OUTPUT], None)
    assert signature.named
    assert signature.table is None
    assert signature.columns == (Column("age", "float32"), Column("vip", "bool"), Column("city", "string"))
    assert [entry.columns for entry in signature.inputs] == [(0,), (1,), (2,)]
    assert [entry.flat for entry in signature.inputs] == [False, True, False]


def test_metadata_may_list_the_inputs_in_another_order() -> None:
    inputs = [column("n1"), column("c0", "string")]
    signature = read_signature(inputs, [OUTPUT], mixed("c", "n"))
    assert signature.columns == (Column("c0", "string"), Column("n1", "float32"))
    assert [entry.columns for entry in signature.inputs] == [(1,), (0,)]


def test_features_go_to_the_input_of_their_kind() -> None:
    inputs = [
        TensorSpec("numeric", "float32", (None, 2)),
        TensorSpec("categorical", "string", (None, 2)),
    ]
    signature = read_signature(inputs, [OUTPUT], mixed("n", "c", "c", "n", missing=True))
    assert [entry.columns for entry in signature.inputs] == [(0, 3), (1, 2)]
    assert [column.dtype for column in signature.columns] == ["float32", "string", "string", "float32"]
    assert all(column.missing for column in signature.columns)


@pytest.mark.parametrize(
    ("categories", "codes"),
    [
        (None, False),
        ((), False),
        (("Oslo",), False),
        (("007", "+1", "1.0", "-0"), False),
        (("Oslo", "7756"), True),
        (("-3",), True),
        (("0",), True),
    ],
)
def test_texts_of_integers_are_codes(categories: tuple[str, ...] | None, codes: bool) -> None:
    document = metadata(1).model_copy(
        update={"features": (Feature(name="c", kind="categorical", categories=categories),)}
    )
    signature = read_signature([TensorSpec("c", "string", (None, 1))], [OUTPUT], document)
    assert signature.columns == (Column("c", "string", codes=codes, trims=bool(categories)),)


def test_one_input_of_text_or_truth_values_is_a_table_too() -> None:
    for dtype in ("string", "bool"):
        signature = read_signature([table(2, dtype)], [OUTPUT], None)
        assert signature.table is None
        assert signature.columns[1] == Column("f1", dtype)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([table(2), column("z")], r"nothing names the columns of input 'x', float32 \[None, 2\]"),
        ([TensorSpec("image", "float32", (None, 3, 8, 8))], "image"),
        ([table(2, "seq(map)")], "seq"),
        ([table(None), column("z")], "'x' is float32"),
        ([table(1, rows=3), column("z")], "different numbers of rows"),
        ([], "0 inputs"),
    ],
)
def test_what_is_not_rows_of_columns_is_refused(inputs: list[TensorSpec], reason: str) -> None:
    with pytest.raises(UnsupportedSignature, match=reason):
        read_signature(inputs, [OUTPUT], None)


def test_the_first_output_with_a_row_for_each_row_holds_the_predictions() -> None:
    maps, scalar = TensorSpec("map", "seq(map(int64,tensor(float)))", ()), TensorSpec("s", "float32", (7,))
    assert read_signature([table(2)], [maps, scalar, OUTPUT], None).outputs == ("y",)
    with pytest.raises(UnsupportedSignature, match="none of its outputs"):
        read_signature([table(2)], [maps], None)


@pytest.mark.parametrize("dtype", ["string", "int64"])
def test_labels_have_their_probabilities_beside_them(dtype: str) -> None:
    label = TensorSpec("label", dtype, (None,))
    assert read_signature([table(2)], [label, OUTPUT], None).outputs == ("label", "y")
    assert read_signature([table(2)], [label], None).outputs == ("label",)
    assert read_signature([table(2)], [OUTPUT, label], None).outputs == ("y",)


@pytest.mark.parametrize(
    ("inputs", "document", "reason"),
    [
        ([table(2)], metadata(3), "3 features, its graph takes 2"),
        ([table(2), column("c", "string")], mixed("n", "c", "c"), "do not name the 2 features of input 'x'"),
        ([table(1, "int64")], mixed("n", missing=True), "may be missing, but int64 has no value for that"),
    ],
)
def test_metadata_that_contradict_the_graph_are_refused(
    inputs: list[TensorSpec], document: Any, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        read_signature(inputs, [OUTPUT], document)
