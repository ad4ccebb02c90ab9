import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_the_environment_sets_what_no_flag_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDSERVE_PORT", "9000")
    monkeypatch.setenv("FOLDSERVE_MODELS_DIR", "/data/models")
    assert Settings(port=9001).port == 9001
    assert Settings().port == 9000
    assert Settings().models_dir == Path("/data/models")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDSERVE_DEFAULT_MODEL", "")
    assert Settings().default_model is None


@pytest.mark.parametrize("wrong", [{"port": 70000}, {"workers": 0}, {"device": "tpu"}, {"unknown": 1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_guide_to_security_names_limits_that_there_are_with_their_defaults() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    rows = re.findall(r"^\| `--([a-z-]+)` \| (\S+) \|", guide, re.MULTILINE)
    assert len(rows) > 5
    for flag, default in rows:
        assert str(Settings.model_fields[flag.replace("-", "_")].default) == default
    flags = set(re.findall(r"--([a-z][a-z-]+)", guide)) - {"version"}
    assert {flag.replace("-", "_") for flag in flags} <= set(Settings.model_fields)
