import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.metadata import KEY, GoldenRows, ModelMetadata, read_metadata, row_errors
from tests.records import golden, metadata


def test_a_file_without_our_key_has_no_metadata() -> None:
    assert read_metadata({"author": "someone"}) is None


def test_metadata_survive_the_way_through_a_file() -> None:
    written = metadata(golden=golden([[1.0, 2.0, 3.0]], [[0.5, 0.5]]))
    assert read_metadata({KEY: written.model_dump_json()}) == written


def test_fields_of_a_newer_minor_schema_are_ignored() -> None:
    document = metadata().model_dump_json()[:-1] + ',"from_the_future": 1}'
    assert read_metadata({KEY: document}) == metadata()


@pytest.mark.parametrize("document", ["", "[]", "{", '{"schema_version": 1}'])
def test_broken_metadata_are_an_error_with_the_place(document: str) -> None:
    with pytest.raises(ValueError, match="its metadata are broken at"):
        read_metadata({KEY: document})


def test_a_newer_schema_version_is_refused() -> None:
    document = metadata().model_dump_json().replace('"schema_version":1', '"schema_version":2')
    with pytest.raises(ValueError, match="schema_version"):
        read_metadata({KEY: document})


def test_classes_are_needed_for_classification_and_only_there() -> None:
    with pytest.raises(ValueError, match="classes"):
        metadata(classes=None)
    with pytest.raises(ValueError, match="classes"):
        metadata(task="regression")


def test_golden_rows_need_one_output_per_input() -> None:
    with pytest.raises(ValueError, match="golden"):
        GoldenRows(inputs=((1.0,),), outputs=(), tolerance=1e-5)


def test_labels_keep_their_type() -> None:
    read = ModelMetadata.model_validate_json(metadata(classes=(0, 1)).model_dump_json())
    assert [type(label) for label in read.classes or ()] == [int, int]


def test_row_error_is_the_largest_difference_over_the_largest_truth() -> None:
    truth = np.array([[1.0, -4.0], [0.0, 0.0], [0.0, 0.0]])
    outputs = np.array([[1.5, -4.0], [0.0, 0.0], [0.0, 1.0]], np.float32)
    assert row_errors(outputs, truth).tolist() == [0.125, 0.0, np.inf]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=5))
def test_equal_rows_have_no_error(values: list[float]) -> None:
    row = np.array([values], np.float32)
    assert row_errors(row, row.astype(np.float64)).tolist() == [0.0]
