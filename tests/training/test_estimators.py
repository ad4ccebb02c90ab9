"""Estimators beside the pipeline they stand for, and beside the files they write."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from service.metadata import Feature, ModelMetadata
from service.session import Session
from tests.conftest import Serving
from training import MLPClassifier, MLPRegressor
from training.config import DataConfig, RunConfig
from training.data import load
from training.errors import ConfigError, DataError, TrainingError
from training.pipeline import train

DOCS = Path(__file__).parents[2] / "docs" / "estimators.md"
SMALL: dict[str, Any] = {"hidden": (8,), "epochs": 3, "random_state": 0}
ROWS = 160


def frame() -> pl.DataFrame:
    """Numbers with gaps, text, truth values and categories."""
    draws = np.random.default_rng(0)
    size = draws.normal(5, 2, ROWS)
    return pl.DataFrame(
        {
            "size": np.where(draws.random(ROWS) < 0.1, np.nan, size),
            "count": draws.integers(0, 50, ROWS),
            "colour": draws.choice(["red", "green", "blue"], ROWS),
            "used": draws.random(ROWS) < 0.5,
            "shape": pl.Series(draws.choice(["round", "flat", None], ROWS).tolist(), dtype=pl.Categorical),
        }
    )


def labels(table: pl.DataFrame) -> pl.Series:
    """What the rows say."""
    large = table["size"].fill_nan(5.0) + (table["colour"] == "red").cast(pl.Float64) * 2 > 5.5
    return large.cast(pl.String).replace({"true": "large", "false": "small"}).alias("kind")


@pytest.fixture(scope="module")
def fitted() -> MLPClassifier:
    """A classifier of the frame; nobody may change it."""
    return MLPClassifier(**SMALL).fit(frame(), labels(frame()))


@pytest.fixture(scope="module")
def written(fitted: MLPClassifier, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelMetadata]:
    """Its file, in a folder of models, and what the file says about itself."""
    path = tmp_path_factory.mktemp("models") / "m" / "1" / "model.onnx"
    return path, fitted.to_onnx(path)


def weights(model: MLPClassifier) -> list[torch.Tensor]:
    return list(model._fitted.trained.predictor.state_dict().values())


def test_importing_training_imports_neither_torch_nor_scikit_learn() -> None:
    code = "import sys, training; print([m for m in ('torch', 'sklearn', 'onnx') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
    with pytest.raises(ImportError):
        from training import MLPTransformer  # type: ignore[attr-defined]  # noqa: F401


def test_a_frame_trains_to_the_bits_of_the_file_with_the_same_rows(tmp_path: Path) -> None:
    table = frame().select("size", "colour").fill_nan(None)
    table.with_columns(labels(frame())).write_csv(tmp_path / "rows.csv")
    data = DataConfig(tmp_path / "rows.csv", "kind", test_share=0.0)
    run = RunConfig(data, "m", {"hidden": (8,)}, {"epochs": 3, "seed": 0})
    expected = train(load(data, 0), run).predictor.state_dict().values()
    found = weights(MLPClassifier(**SMALL).fit(table, labels(frame())))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_the_written_file_answers_as_the_estimator(
    fitted: MLPClassifier, written: tuple[Path, ModelMetadata]
) -> None:
    path, told = written
    assert [(f.name, f.kind, f.missing) for f in told.features] == [
        ("size", "numeric", True),
        ("count", "numeric", False),
        ("colour", "categorical", True),
        ("used", "categorical", True),
        ("shape", "categorical", True),
    ]
    assert (told.target, told.classes) == ("kind", ("large", "small"))
    assert told.certificate is not None
    table = frame()
    texts = table.select(pl.col("colour", "used", "shape").cast(pl.String).fill_null("")).to_numpy()
    feeds = {
        "numeric": table.select("size", "count").to_numpy().astype(np.float32),
        "categorical": texts.astype(object),
    }
    assert np.abs(Session(path).run(feeds)[0] - fitted.predict_proba(table)).max() < 1e-5
    assert [entry.name for entry in path.parent.iterdir()] == ["model.onnx"]


@pytest.mark.anyio
async def test_the_server_answers_the_frame_s_records_as_the_estimator(
    fitted: MLPClassifier, written: tuple[Path, ModelMetadata], serving: Serving
) -> None:
    rows = frame()[:20].with_columns(pl.col("size").fill_nan(None), pl.col("used").cast(pl.String))
    async with serving(written[0].parents[2]) as client:
        answer = await client.post("/predict", json={"records": rows.to_dicts()})
    assert answer.json()["predictions"] == fitted.predict(frame()[:20]).tolist()


def test_a_pandas_frame_answers_as_the_polars_one(fitted: MLPClassifier) -> None:
    pandas = pytest.importorskip("pandas")
    columns = {name: frame()[name].to_list() for name in frame().columns}
    table = pandas.DataFrame(columns).astype({"shape": "category", "count": "Int64"})
    other = clone(fitted).fit(table, pandas.Series(labels(frame()).to_list(), name="kind"))
    assert np.array_equal(other.predict_proba(table), fitted.predict_proba(frame()))


@pytest.mark.parametrize(
    "asked", [[1], [-1], ["b"], [False, True], np.array([1])], ids=["index", "end", "name", "mask", "array"]
)
def test_columns_of_numbers_are_categories_where_they_are_named(asked: Any) -> None:
    draws = np.random.default_rng(0)
    X = pl.DataFrame({"a": draws.normal(size=60), "b": draws.integers(0, 3, 60) * 1.0})
    given = X if asked == ["b"] else X.to_numpy()
    model = MLPRegressor(categorical_features=asked, **SMALL).fit(given, X["b"] * 2)
    assert [f.categories for f in model._fitted.subject.features] == [None, ("0", "1", "2")]
    assert np.isfinite(model.predict(given)).all()


def test_an_array_of_objects_may_hold_texts_where_categories_are_named() -> None:
    X = np.array([[1.5, "a"], [2, "b"], [None, "a"], [3.5, None]] * 10, dtype=object)
    y = np.arange(40) % 4
    model = MLPClassifier(categorical_features=[1], **SMALL).fit(X, y)
    assert model.predict(X).shape == (40,)
    with pytest.raises(ValueError, match="could not convert string to float"):
        clone(model).set_params(categorical_features=None).fit(X, y)


def test_what_cannot_be_used_is_told_in_the_words_of_python() -> None:
    X, y = frame().select("count"), labels(frame())
    with pytest.raises(DataError, match=r"column 'colour', row 1: .* is not a number"):
        MLPClassifier(categorical_features=None, **SMALL).fit(frame().select("colour"), y)
    with pytest.raises(DataError, match="0 features"):
        MLPClassifier(**SMALL).fit(pl.DataFrame(), y)
    with pytest.raises(DataError, match="y holds one class, 'a'"):
        MLPClassifier(**SMALL).fit(X, ["a"] * ROWS)
    with pytest.raises(DataError, match="y is <U1; a regression needs numbers"):
        MLPRegressor(**SMALL).fit(X, np.array(["a"] * ROWS))
    with pytest.raises(ConfigError, match=r"^learning_rate is -1, expected"):
        MLPClassifier(learning_rate=-1, **SMALL).fit(X, y)
    with pytest.raises(ConfigError, match=r"^validation_fraction is 0.7, expected"):
        MLPClassifier(validation_fraction=0.7, **SMALL).fit(X, y)
    with pytest.raises(ConfigError, match="activation is 'swish', expected one of relu, gelu"):
        MLPClassifier(activation="swish", **SMALL).fit(X, y)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="categorical_features names 'price', no such column"):
        MLPClassifier(categorical_features=["price"], **SMALL).fit(X, y)
    with pytest.raises(NotFittedError):
        MLPClassifier().to_onnx("model.onnx")


def test_a_number_missing_where_none_was_in_training_is_the_mean_of_its_column() -> None:
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = MLPRegressor(**SMALL).fit(X, X[:, 0])
    mean = float(model._fitted.means[0])
    assert model.predict([[np.nan, 0.0]]) == model.predict([[mean, 0.0]])


def test_a_column_without_any_value_is_left_out() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3))
    X[:, 1] = np.nan
    model = MLPRegressor(**SMALL).fit(X, X[:, 0])
    assert [f.name for f in model._fitted.subject.features] == ["x0", "x2"]
    assert model.predict(X).shape == (50,)


def test_rows_that_weigh_nothing_are_as_if_they_were_not_there() -> None:
    X = np.random.default_rng(0).normal(size=(80, 2))
    y, weight = (X[:, 0] > 0).astype(int), np.arange(80) % 4 > 0
    weighted = MLPClassifier(**SMALL).fit(X, y, weight * 2.0)
    plain = MLPClassifier(**SMALL).fit(X[weight], y[weight])
    assert np.allclose(weighted.predict_proba(X), plain.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([3, 7], (3, 7)),
        ([1.0, 2.0], (1, 2)),
        ([False, True], ("false", "true")),
        (["a", "b"], ("a", "b")),
    ],
    ids=["integers", "floats", "truth", "texts"],
)
def test_labels_come_back_as_they_were_given(
    values: list[Any], told: tuple[Any, ...], tmp_path: Path
) -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.array(values)[(X[:, 0] > 0).astype(int)]
    model = MLPClassifier(**{**SMALL, "epochs": 40}, encoding="standard").fit(X, y)
    assert model.classes_.tolist() == values
    assert model.predict(X).dtype == y.dtype
    assert model.score(X, y) > 0.9
    assert model._fitted.subject.classes == told


def test_the_logarithm_of_a_target_is_learnt_in_its_own_unit() -> None:
    X = np.random.default_rng(0).normal(size=(300, 1))
    y = np.exp(2 * X[:, 0] + 3)
    model = MLPRegressor(log_target=True, encoding="standard", hidden=16, epochs=40, random_state=0).fit(X, y)
    assert np.median(np.abs(model.predict(X) / y - 1)) < 0.2
    with pytest.raises(DataError, match="log_target needs a target above 0"):
        clone(model).fit(X, -y)


def test_a_pickled_estimator_answers_and_writes_as_before(
    fitted: MLPClassifier, written: tuple[Path, ModelMetadata], tmp_path: Path
) -> None:
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301 - written a moment ago
    assert np.array_equal(again.predict_proba(frame()), fitted.predict_proba(frame()))
    assert again.to_onnx(tmp_path / "model.onnx").golden == written[1].golden


def test_a_search_over_a_pipeline_finds_its_parameters() -> None:
    X = np.random.default_rng(0).normal(size=(90, 3))
    y = X @ [1.0, 2.0, 3.0]
    steps = make_pipeline(StandardScaler(), MLPRegressor(**SMALL))
    grid = {"mlpregressor__hidden": [(4,), (8, 8)], "mlpregressor__batch_size": np.array([16, 32])}
    search = GridSearchCV(steps, grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (90,)


def test_what_happened_is_told_after_fit(fitted: MLPClassifier) -> None:
    assert fitted.n_iter_ == len(fitted.history_) == 3
    assert 1 <= fitted.best_epoch_ <= 3
    assert fitted.history_[0]["number"] == 1
    assert fitted.metrics_["validation_accuracy"] == pytest.approx(
        fitted.history_[fitted.best_epoch_ - 1]["score"], abs=0.1
    )
    assert fitted.feature_names_in_.tolist() == frame().columns


def test_a_file_that_cannot_be_written_is_told_in_one_line(fitted: MLPClassifier, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(TrainingError, match=r"cannot write to .*taken"):
        fitted.to_onnx(tmp_path / "taken" / "model.onnx")


def test_a_target_may_be_called_as_a_feature() -> None:
    table = frame().select("count")
    model = MLPRegressor(**SMALL).fit(table, table["count"])
    assert model._fitted.subject.features == (
        Feature(name="count", minimum=0.0, maximum=model._fitted.subject.features[0].maximum),
    )
    assert model._fitted.subject.target == "count_"


def test_the_code_of_the_guide_runs_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    exec(code, {})  # noqa: S102 - the guide's own lines
    assert "hidden" in capsys.readouterr().out
    assert Session(tmp_path / "models" / "iris" / "1" / "model.onnx").inputs[0].name == "features"


def test_integers_beyond_64_bits_are_numbers() -> None:
    X = np.array([[2**70 * (i % 5), i % 2] for i in range(40)], object)
    model = MLPRegressor(**SMALL).fit(X, np.arange(40) % 5 / 7)
    assert np.isfinite(model.predict(X)).all()


def test_a_column_of_dates_is_refused_with_what_to_do() -> None:
    X = frame().with_columns(pl.Series("when", range(ROWS)).cast(pl.Date))
    with pytest.raises(DataError, match="'when' holds dates or times; make numbers of them, such as days"):
        MLPClassifier(**SMALL).fit(X, labels(X))
