import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.errors import FoldserveError, InvalidRows, MalformedBody, TooManyNumbers
from service.payloads.npy import LONGEST_HEADER, encode
from tests.service.payloads.tables import decode, json_rows, npy, outcome, signature

VALUES = np.array([[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "i1", "u1", ">i2", "<u4", ">i8", "<u8"])
def test_every_numeric_dtype_order_and_version_is_read(
    version: tuple[int, int], order: str, dtype: str
) -> None:
    array = np.asarray(VALUES, dtype, order="F" if order == "F" else "C")
    for model in (signature(), signature(dtype="int64"), signature(dtype="float64")):
        rows = decode(npy(array, version), "npy", model)
        assert rows.dtype == np.dtype(model.inputs[0].dtype)
        assert rows.tolist() == VALUES.tolist()


def test_a_flat_array_is_one_row() -> None:
    assert decode(npy(np.array([1.0, 2.0])), "npy", signature()).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((2, 3)), r"expected shape \[rows, 2\], got \[2, 3\]"),
        (np.ones((1, 1, 2)), r"expected shape \[rows, 2\], got \[1, 1, 2\]"),
        (np.array(1.0), "expected shape"),
        (np.ones((0, 2)), "no rows"),
        (np.array([[1.0, np.nan]]), 'row 0, feature "height": expected a finite number, got NaN'),
        (np.array([[1, 2], [np.inf, 2]]), 'row 1, feature "age": Infinity is outside the range of float32'),
        (np.array([[1e39, 2]]), r'row 0, feature "age": 1e\+39 is outside the range of float32'),
        (np.ones((1, 2), bool), "the array holds bool, expected integers or floats"),
        (np.ones((1, 2), complex), "the array holds complex128"),
    ],
)
def test_arrays_that_do_not_fit_are_named(array: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidRows, match=message):
        decode(npy(array), "npy", signature())


def test_integers_are_exact_and_bounded_for_a_model_of_integers() -> None:
    big = np.array([[2**53 + 1, -(2**63)]])
    assert decode(npy(big), "npy", signature(dtype="int64")).tolist() == big.tolist()
    for bad, message in (
        (np.array([[1, 2**63]], "u8"), "outside the range of int64"),
        (np.array([[1, 2.0**63]]), "outside the range of int64"),
        (np.array([[1, 0.5]]), "expected an integer, got 0.5"),
    ):
        with pytest.raises(InvalidRows, match=f'row 0, feature "height".*{message}'):
            decode(npy(bad), "npy", signature(dtype="int64"))
    assert decode(npy(np.array([[1, -(2.0**63)]])), "npy", signature(dtype="int64"))[0, 1] == -(2**63)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "does not start as one"),
        (b"\x93NUMPY\x04\x00\x10\x00\x00\x00" + b" " * 16, "version 4 is unknown"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b" " * 70000, "header of 65535 bytes is too long"),
        (npy(np.array([["a", "b"]])), "is not a number"),
        (npy(np.zeros(2, [("a", "f4")])), "does not describe one array of plain numbers"),
        (npy(VALUES)[:-1], "promises 48 bytes of numbers, got 47"),
        (npy(VALUES) + b"x", "promises 48 bytes of numbers, got 49"),
        (npy(VALUES).replace(b"'<i8'", b"'|O' "), "is not a number"),
        (npy(VALUES).replace(b"(3, 2)", b"(-3,2)"), "does not describe"),
        (npy(VALUES).replace(b"False", b"print"), "does not describe"),
    ],
)
def test_what_is_no_array_is_malformed(body: bytes, message: str) -> None:
    with pytest.raises(MalformedBody, match=message):
        decode(body, "npy", signature())


def test_a_shape_of_any_size_is_refused_before_memory_is_asked_for() -> None:
    body = npy(VALUES).replace(b"(3, 2)", b"(3" + b"0" * 15 + b", 2)").replace(b" " * 20, b" " * 3, 1)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999, 2), }\n"
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(TooManyNumbers, match="1999999999999999998 numbers, the limit is 100"):
        decode(body, "npy", signature(), most=100)
    assert len(header) < LONGEST_HEADER


@given(
    hnp.arrays(
        st.sampled_from(["f2", "f4", "f8", ">f8", "i8", "u8", "i1", ">u2", "?", "c8"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.sampled_from(["float16", "float32", "float64", "int8", "int64", "uint64"]),
)
def test_any_array_reads_as_its_json_reads_or_is_refused_like_it(array: np.ndarray, dtype: str) -> None:
    model = signature(dtype=dtype)
    rows = outcome(npy(array), "npy", model)
    if array.dtype.kind in "bc" or array.ndim != 2:
        return
    try:
        expected = json_rows(array.tolist(), model)
    except FoldserveError:
        assert rows is None
    else:
        assert rows is not None
        assert rows.tobytes() == expected.tobytes()


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 200))
def test_damaged_bytes_are_refused_or_read_as_sound_rows(noise: bytes, start: int, cut: int) -> None:
    body = npy(VALUES.astype("f4"))
    outcome(noise, "npy", signature())
    outcome(body[:cut], "npy", signature())
    outcome(body[:start] + noise + body[start + len(noise) :], "npy", signature())


def test_an_output_is_written_as_numpy_reads_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for output in (np.array([[0.25, 0.75]], "f4"), np.array([["a", "b"]], object)):
        (tmp_path / "out.npy").write_bytes(encode(output))
        read = np.load(tmp_path / "out.npy", allow_pickle=False)
        assert read.tolist() == output.tolist()
