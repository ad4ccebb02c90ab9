import logging
import os
from pathlib import Path

import pytest

from service.errors import Unauthorized, UnreadableKeys
from service.keys import SHORTEST, Keys

ONE, TWO, THREE = "first-key-of-some-length", "second-key-of-some-length", "third-key-of-some-length"


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    # The same second, or a clock that stands still, must not hide a change.
    os.utime(path, ns=(path.stat().st_mtime_ns, path.stat().st_mtime_ns + 1))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "keys", "# the first team", ONE, "", f"  {TWO}  ")


def test_a_key_is_admitted_as_a_bearer_token_or_a_header_of_its_own(file: Path) -> None:
    keys = Keys(file)
    assert len(keys) == 2
    for key in (ONE, TWO):
        assert keys.admits([(b"authorization", f"Bearer {key}".encode())])
        assert keys.admits([(b"authorization", f"bearer   {key}".encode())])
        assert keys.admits([(b"host", b"a"), (b"x-api-key", key.encode())])


def test_the_metadata_of_a_call_are_text_and_do_as_well(file: Path) -> None:
    keys = Keys(file)
    assert keys.admits((("user-agent", "grpc"), ("authorization", f"Bearer {ONE}")))
    assert keys.admits((("x-api-key", TWO), ("blob-bin", b"\xff")))
    assert not keys.admits((("x-api-key", "\udcff"),))


def test_who_is_refused_learns_whether_a_key_came_and_no_more(file: Path) -> None:
    keys = Keys(file)
    keys.check([(b"x-api-key", ONE.encode())])
    with pytest.raises(Unauthorized, match="got no API key: send Authorization: Bearer <key>"):
        keys.check([])
    with pytest.raises(Unauthorized, match="got an API key that is not known") as caught:
        keys.check((("x-api-key", THREE),))
    assert THREE not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", f"Basic {ONE}".encode())],
        [(b"authorization", ONE.encode())],
        [(b"authorization", f"Bearer {ONE} {TWO}".encode())],
        [(b"x-api-key", f"Bearer {ONE}".encode())],
        [(b"x-api-key", ONE[:-1].encode())],
        [(b"x-api-key", ONE.upper().encode())],
        [(b"x-api-key", b"# the first team")],
        [(b"x-api-key", b"\xff\xfe")],
        [(b"cookie", ONE.encode())],
    ],
)
def test_anything_else_is_not(file: Path, headers: list[tuple[bytes, bytes]]) -> None:
    assert not Keys(file).admits(headers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it holds no key"),
        ("# nobody\n\n", "it holds no key"),
        (f"{ONE}\nshort\n", "line 2 is no key: expected 16 or more"),
        (f"{ONE} {TWO}\n", "line 1 is no key"),
        ("k" * SHORTEST + "\N{LATIN SMALL LETTER E WITH ACUTE}", "line 1 is no key"),
        ("k" * (2**20 + 1), "longer than"),
    ],
)
def test_a_file_that_is_not_in_order_is_refused_without_showing_a_key(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(UnreadableKeys, match=words) as caught:
        Keys(tmp_path / "keys")
    assert str(caught.value).count("\n") == 0
    assert "short" not in str(caught.value).removeprefix(str(tmp_path))
    assert ONE not in str(caught.value)


def test_a_file_that_is_not_there_or_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableKeys, match="No such file"):
        Keys(tmp_path / "keys")
    with pytest.raises(UnreadableKeys, match="Is a directory"):
        Keys(tmp_path)


def test_a_change_is_seen_within_a_second(file: Path) -> None:
    clock = Clock()
    keys = Keys(file, clock)
    written(file, THREE)
    assert keys.admits([(b"x-api-key", ONE.encode())])  # nobody has looked yet
    clock.now = 1.0
    assert keys.admits([(b"x-api-key", THREE.encode())])
    assert not keys.admits([(b"x-api-key", ONE.encode())])


def test_a_new_file_that_is_broken_leaves_the_old_keys_in_force(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    keys = Keys(file, clock)
    for change in (lambda: written(file, ""), lambda: written(file, "short"), file.unlink):
        change()
        clock.now += 1.0
        with caplog.at_level(logging.ERROR, "foldserve"):
            assert keys.admits([(b"x-api-key", ONE.encode())])
        assert "the old API keys stay in force" in caplog.messages[-1]
        told = len(caplog.messages)
        clock.now += 1.0
        assert keys.admits([(b"x-api-key", ONE.encode())])
        assert len(caplog.messages) == told  # once for each change
    written(file, THREE)
    clock.now += 1.0
    assert keys.admits([(b"x-api-key", THREE.encode())])
    assert not keys.admits([(b"x-api-key", ONE.encode())])


def test_a_link_that_is_turned_to_another_file_is_a_change(tmp_path: Path) -> None:
    """The way in which Kubernetes changes a mounted secret."""
    clock = Clock()
    for name, key in (("a", ONE), ("b", TWO)):
        written(tmp_path / name, key)
    (tmp_path / "keys").symlink_to("a")
    keys = Keys(tmp_path / "keys", clock)
    (tmp_path / "new").symlink_to("b")
    (tmp_path / "new").replace(tmp_path / "keys")
    clock.now = 1.0
    assert keys.admits([(b"x-api-key", TWO.encode())])
    assert not keys.admits([(b"x-api-key", ONE.encode())])
