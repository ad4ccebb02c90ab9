"""`foldserve train` as a person calls it."""

import shlex
from pathlib import Path

import pytest

from tests.processes import run

SMALL = ["--hidden", "8", "--epochs", "2"]


def test_train_publishes_and_shows_what_it_did(tmp_path: Path) -> None:
    ended = run("train", "--dataset", "wine", "--models-dir", tmp_path, *SMALL)
    assert ended.returncode == 0, ended.stderr
    for words in (
        "wine: 13 features",
        "rows: 124 to train",
        "folding: ",
        "certificate: ",
        "test accuracy",
        "s per epoch",
    ):
        assert words in ended.stdout, words
    assert ended.stdout.rstrip().endswith(f"published {tmp_path}/wine/1/model.onnx")
    assert ended.stderr == ""


def test_train_takes_a_file_and_every_option(tmp_path: Path) -> None:
    rows = tmp_path / "my.table.csv"
    rows.write_text("a,b,y\n" + "".join(f"{i % 7},{i % 3},{i % 2}\n" for i in range(60)))
    options = shlex.split(
        "--task classification --name own --hidden 8,4 --activation tanh --moments all --epsilon 1e-5 "
        "--dropout 0.2 --epochs 2 --batch-size 8 --lr 0.01 --weight-decay 0.01 --validation 0.2 "
        "--patience 1 --seed 7 --optimizer muon --schedule one-cycle --warm-up 0.3 --ema 0.9 "
        "--no-exact-statistics --label-smoothing 0.1 --clip 1 --class-weight balanced --no-spike-guard "
        "--device cpu --precision float32"
    )
    models = tmp_path / "models"
    ended = run("train", rows, "--target", "y", "--models-dir", models, *options)
    assert ended.returncode == 0, ended.stderr
    shown = run("inspect", models / "own" / "1" / "model.onnx").stdout
    assert "seed 7" in shown
    assert "1e-05" in shown
    plain = run("train", rows, "--target", "y", "--models-dir", models, "--no-batch-norm", *SMALL)
    assert plain.returncode == 0, plain.stderr
    assert (models / "my" / "1" / "model.onnx").is_file()


def test_the_schema_is_shown_before_training_and_flags_change_it(tmp_path: Path) -> None:
    rows = tmp_path / "rows.txt"
    lines = [f"{i};{i % 9},5;{('oak', 'elm')[i % 2]};{100 * (i % 3)};{i % 2};{1 + i % 4}" for i in range(60)]
    rows.write_text("made by hand\n" + "\n".join([*lines, "60;1,5;n/a;?;;1"]) + "\n")
    options = shlex.split(
        "--columns id,size,wood,zip,y,w --no-header --delimiter ; --skip-lines 1 --missing n/a,? "
        "--drop wood,id --numeric zip --weight w --drop-missing-target --target y "
        "--test-share 0.2 --split-seed 3"
    )
    ended = run("train", rows, *options, "--validation", "0.2", "--models-dir", tmp_path / "models", *SMALL)
    shown = [line.split() for line in ended.stdout.splitlines()]
    assert "rows.txt: 1 row without a target left out" in ended.stdout, ended.stderr
    assert ["id", "whole", "numbers", "60", "dropped:", "asked"] in shown
    assert ["size", "numbers", "9", "number"] in shown
    assert ["zip", "whole", "numbers", "3", "number"] in shown
    assert ["w", "whole", "numbers", "4", "weight"] in shown
    assert "! size is written with a comma before the decimals" in ended.stdout
    assert "rows.txt: 2 features → y (2 classes)" in ended.stdout
    assert "rows: 36 to train, 12 to validate, 12 to test" in ended.stdout
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name one table: a file DATA with --target COLUMN, or --dataset NAME"),
        (["rows.csv", "--dataset", "wine"], 2, "name one table"),
        (["--dataset", "iris"], 2, "there is digits, breast-cancer, wine, diabetes"),
        (["absent.csv", "--target", "y"], 2, "there is no such file"),
        (["--dataset", "wine", "--hidden", "a,b"], 2, "--hidden is 'a,b', expected widths such as 256,128"),
        (["--dataset", "wine", "--activation", "swish"], 2, "--activation is 'swish', expected one of relu"),
        (["--dataset", "wine", "--moments", "batch"], 2, "--moments is 'batch'"),
        (["--dataset", "wine", "--task", "ranking"], 2, "--task is 'ranking'"),
        (["--dataset", "wine", "--drop", "alcohol,age"], 2, "--drop names 'age', no such column; there is"),
        (["--dataset", "wine", "--validation", "0.7"], 2, "--validation is 0.7, expected between 0 and 0.5"),
        (
            ["--dataset", "wine", "--test-share", "1"],
            2,
            "--test-share is 1.0, expected at least 0, below 0.5",
        ),
        (["--dataset", "wine", "--image", "8"], 2, "--image is '8', expected WIDTHxHEIGHT, such as 28x28"),
        (["--dataset", "wine", "--delimiter", ";;"], 2, "--delimiter is ';;', expected one sign"),
        (["--dataset", "wine", "--epochs", "0"], 2, "--epochs is 0, expected at least 1"),
        (["--dataset", "wine", "--name", "../x"], 2, "--name is '../x'"),
        (["--dataset", "wine", "--lr", "1e30", "--epochs", "2"], 1, "try a lower --lr"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    ended = run("train", "--models-dir", tmp_path, *arguments)
    assert words in ended.stderr
    assert ended.returncode == code
    assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("model.onnx"))
