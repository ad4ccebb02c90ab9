import json

import pytest

from service.repository import Policy
from service.repository.policy import UNLOADED


def test_the_three_words_of_the_setting() -> None:
    assert Policy.parse("all") == Policy()
    assert Policy.parse("latest").newest == 1
    assert Policy.parse("1, 3").numbers == {1, 3}
    assert [n for n in range(5) if Policy.parse("1,3").admits(n)] == [1, 3]
    assert Policy.parse("latest").admits(7)
    assert not UNLOADED.admits(1)


@pytest.mark.parametrize(
    ("config", "newest", "numbers"),
    [
        ({"version_policy": {"latest": {"num_versions": 2}}}, 2, None),
        ({"version_policy": {"latest": {}}}, 1, None),
        ({"version_policy": {"all": {}}}, None, None),
        ({"version_policy": {"specific": {"versions": [1, "3"]}}}, None, {1, 3}),
    ],
)
def test_a_configuration_of_triton_tells_its_policy(
    config: dict[str, object], newest: int | None, numbers: set[int] | None
) -> None:
    policy = Policy.of_config(json.dumps(config))
    assert policy is not None
    assert (policy.newest, policy.numbers) == (newest, numbers)


def test_a_configuration_without_a_policy_says_nothing() -> None:
    assert Policy.of_config('{"backend": "onnxruntime", "max_batch_size": 8}') is None


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        '{"version_policy": 1}',
        '{"version_policy": {}}',
        '{"version_policy": {"newest": {}}}',
        '{"version_policy": {"latest": {"num_versions": 0}}}',
        '{"version_policy": {"latest": {"num_versions": "x"}}}',
        '{"version_policy": {"latest": 1}}',
        '{"version_policy": {"specific": {"versions": []}}}',
        '{"version_policy": {"specific": {"versions": ["x"]}}}',
        '{"version_policy": {"all": {}, "latest": {}}}',
    ],
)
def test_a_configuration_that_cannot_be_read_is_refused(config: str) -> None:
    with pytest.raises(ValueError, match=r"version_policy: expected|expected an object|Expecting"):
        Policy.of_config(config)
