"""The repository as the doors see it: what answers, and loading by request, in one process and in two."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from service.errors import LoadFailed, ModelUnavailable, NoDefaultModel, UnknownModel, UnknownVersion
from service.repository import Policy, Refused, Repository, watching
from service.worker import Worker
from tests import graphs
from tests.service.repository.files import answer, constant, drifted, publish, words

requests = pytest.mark.anyio


def put(folder: Path, name: str, *versions: int | str) -> None:
    for version in versions:
        weight = np.full((2, 1), 1.0, np.float32)
        graphs.put(graphs.linear(weight, np.zeros(1, np.float32)), folder, name, version)


def test_the_highest_version_answers(tmp_path: Path) -> None:
    put(tmp_path, "a", 2, 10, 9)
    repository = Repository(tmp_path)
    assert repository.find().version == 10
    assert repository.find("a", "9").version == 9


def test_one_model_is_the_default_several_need_a_word(tmp_path: Path) -> None:
    put(tmp_path, "a", 1)
    assert Repository(tmp_path).default == "a"
    put(tmp_path, "b", 1)
    with pytest.raises(NoDefaultModel, match="one of a, b, or start the server with --default-model"):
        Repository(tmp_path).find()
    assert Repository(tmp_path, default="b").find().name == "b"


def test_a_default_that_is_not_there_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a", 1)
    with pytest.raises(UnknownModel, match="no model named 'c': there is a"):
        Repository(tmp_path, default="c")


def test_unknown_names_and_versions_are_told_what_there_is(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, 2)
    repository = Repository(tmp_path)
    with pytest.raises(UnknownModel, match="there is a"):
        repository.find("b")
    for version in ("3", "0", "01", "-1", "1.0", "", "latest", "²"):
        with pytest.raises(UnknownVersion, match="there is 1, 2"):
            repository.find("a", version)


def test_a_file_that_cannot_be_read_is_listed_while_the_others_serve(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, 2)
    (tmp_path / "a" / "2" / "model.onnx").write_bytes(b"half a file")
    repository = Repository(tmp_path)
    assert repository.find("a").version == 1
    assert isinstance(repository.models["a"][2], Refused)
    with pytest.raises(ModelUnavailable, match="version 2 is not served"):
        repository.find("a", "2")


def test_a_model_without_a_version_that_serves_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    repository = Repository(tmp_path)
    assert not repository.ready
    with pytest.raises(ModelUnavailable, match="there is no such file"):
        repository.find("hollow")
    with pytest.raises(ModelUnavailable, match="'empty' is not served: it has no versions"):
        repository.find("empty")


def test_folders_that_are_being_written_and_odd_names_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, ".writing-x", "01", "draft")
    put(tmp_path, ".hidden", 1)
    (tmp_path / "note.txt").write_text("a file beside the models")
    repository = Repository(tmp_path)
    assert repository.names == ["a"]
    assert list(repository.models["a"]) == [1]


def test_a_folder_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "nowhere")
    assert repository.names == []
    with pytest.raises(NoDefaultModel, match="no model is served"):
        repository.find()


def sent(number: float, version: int = 1) -> dict[str, bytes]:
    return {f"{version}/model.onnx": constant(number).SerializeToString()}


def overrides(folder: Path) -> list[Path]:
    return list(folder.glob("**/model-*"))


@requests
async def test_load_takes_what_is_on_disk_at_once(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    publish(constant(2), tmp_path)
    publish(constant(3), tmp_path, version=2)
    await repository.load("m")
    assert (answer(repository, version=1), answer(repository, version=2)) == (2, 3)


@requests
async def test_load_makes_a_new_model_even_when_nothing_has_changed(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    old = repository.find()
    await repository.load("m")
    assert repository.find() is not old


@requests
async def test_a_load_that_fails_says_why_and_changes_nothing(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    publish(constant(2), tmp_path)
    publish(drifted(), tmp_path, version=2)
    with pytest.raises(LoadFailed, match="'m' was not loaded: version 2: its golden rows are off by"):
        await repository.load("m")
    assert answer(repository) == 1
    assert "golden rows" in words(repository)["m", "2"][1]


@requests
async def test_an_empty_folder_does_not_keep_the_others_from_being_loaded(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path, policy=Policy.parse("latest"))
    publish(constant(2), tmp_path)
    (tmp_path / "m" / "2").mkdir()
    await repository.load("m")
    assert answer(repository) == 2
    assert words(repository)["m", "2"] == ("UNAVAILABLE", "there is no such file")


@requests
async def test_an_unloaded_model_stays_so_until_it_is_loaded_by_request(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    publish(b"half a file", tmp_path, version=2)
    repository = Repository(tmp_path)
    held = repository.find()
    await repository.unload("m")
    assert words(repository)["m", "1"] == ("UNLOADING", "unloaded")
    assert answer(held) == 1
    del held
    publish(constant(2), tmp_path)
    for _ in range(3):
        repository.step()
    assert set(words(repository).values()) == {("UNAVAILABLE", "unloaded")}
    with pytest.raises(ModelUnavailable, match="unloaded"):
        repository.find()
    publish(constant(3), tmp_path, version=2)
    await repository.load("m")
    assert answer(repository) == 3


@requests
async def test_unknown_models_are_neither_loaded_nor_unloaded(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    (tmp_path / "empty").mkdir()
    repository = Repository(tmp_path)
    for work in (repository.load, repository.unload):
        for name in ("nobody", "..", "", "m/1", "\udcff"):
            with pytest.raises(UnknownModel, match="there is empty, m"):
                await work(name)
    with pytest.raises(LoadFailed, match="it has no versions"):
        await repository.load("empty")


@requests
async def test_files_that_are_sent_are_the_only_versions_until_the_next_load(tmp_path: Path) -> None:
    for number in (1, 2):
        publish(constant(number), tmp_path, version=number)
    repository = Repository(tmp_path)
    await repository.load("m", sent(7))
    assert [model.version for model in repository.served("m")] == [1]
    publish(constant(3), tmp_path, version=3)
    repository.step()
    repository.step()
    assert answer(repository) == 7
    source = repository.find().session.path
    await repository.load("m", sent(8))
    assert not source.exists()
    assert answer(repository) == 8
    source = repository.find().session.path
    await repository.load("m")
    assert answer(repository) == 3
    assert not source.exists()
    repository.close()


@requests
async def test_a_model_may_come_from_files_alone(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    await repository.load("new", sent(5, version=4))
    for _ in range(3):
        repository.step()
    assert answer(repository, "new", 4) == 5
    await repository.unload("new")
    repository.step()
    repository.step()
    assert repository.names == []
    await repository.load("new", sent(6))
    assert answer(repository, "new") == 6
    repository.close()


@requests
async def test_files_that_cannot_be_served_change_nothing_and_are_removed(tmp_path: Path) -> None:
    publish(constant(1), tmp_path / "models")
    worker = Worker(0, 1, tmp_path / "private")
    repository = Repository(tmp_path / "models", worker=worker)
    async with watching(repository, 0):
        for files, reason in (
            ({"1/model.onnx": b"half"}, "version 1: .*arsing failed"),
            ({"1/other.onnx": b"half"}, "version 1: there is no such file"),
            ({"../1/model.onnx": b"half"}, "expected file:<version>/<name>"),
            (sent(1) | {"2/model.onnx": b"half"}, "version 2"),
        ):
            with pytest.raises(LoadFailed, match=reason):
                await repository.load("m", files)
        with pytest.raises(LoadFailed, match="it is not a name"):
            await repository.load("..", sent(1))
    assert answer(repository) == 1
    assert words(repository)["m", "1"] == ("READY", "")
    assert overrides(tmp_path) == []


@requests
async def test_the_version_policy_of_a_configuration_holds_until_the_next_load(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        publish(constant(number), tmp_path, version=number)
    repository = Repository(tmp_path, policy=Policy.parse("latest"))
    await repository.load("m", config='{"version_policy": {"specific": {"versions": [1, 2]}}}')
    assert [model.version for model in repository.served("m")] == [1, 2]
    repository.step()
    assert answer(repository) == 2
    await repository.load("m", config="{}")
    assert [model.version for model in repository.served("m")] == [3]
    with pytest.raises(LoadFailed, match="the parameter config cannot be read"):
        await repository.load("m", config="{")
    with pytest.raises(LoadFailed, match="no version that is wanted"):
        await repository.load("m", config='{"version_policy": {"specific": {"versions": [9]}}}')


@asynccontextmanager
async def two_workers(tmp_path: Path) -> AsyncIterator[list[Repository]]:
    async with AsyncExitStack() as stack:
        workers = [Worker(number, 2, tmp_path / "private") for number in range(2)]
        both = [Repository(tmp_path / "models", worker=worker) for worker in workers]
        for repository in both:
            await stack.enter_async_context(watching(repository, 0))
        yield both


@requests
async def test_a_request_to_one_worker_reaches_all(tmp_path: Path) -> None:
    publish(constant(1), tmp_path / "models")
    async with two_workers(tmp_path) as both:
        publish(constant(2), tmp_path / "models")
        await both[0].load("m")
        assert [answer(repository) for repository in both] == [2, 2]
        await both[1].unload("m")
        assert [repository.ready for repository in both] == [False, False]
        await both[0].load("m", sent(7))
        assert [answer(repository) for repository in both] == [7, 7]
        with pytest.raises(LoadFailed):
            await both[1].load("m", {"1/model.onnx": b"half"})
        assert [answer(repository) for repository in both] == [7, 7]
        assert len(overrides(tmp_path)) == 1


@requests
async def test_a_worker_that_starts_later_finds_the_wishes(tmp_path: Path) -> None:
    for name in ("sent", "unloaded", "plain"):
        publish(constant(1), tmp_path / "models", name)
    async with two_workers(tmp_path) as both:
        await both[0].load("sent", sent(7))
        await both[0].unload("unloaded")
        await both[0].load("plain")
        late = Repository(tmp_path / "models", worker=Worker(1, 2, tmp_path / "private"))
    assert answer(late, "sent") == 7
    assert answer(late, "plain") == 1
    assert words(late)["unloaded", "1"] == ("UNAVAILABLE", "unloaded")


@requests
async def test_requests_at_the_same_time_are_fulfilled_one_after_the_other(tmp_path: Path) -> None:
    publish(constant(1), tmp_path / "models")
    async with two_workers(tmp_path) as both:
        await asyncio.gather(*(both[n % 2].load("m", sent(n)) for n in range(4)))
        one, other = (answer(repository) for repository in both)
        assert one == other
        assert len(overrides(tmp_path)) == 1
