import asyncio
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import numpy as np
import onnx
import pytest

from service.cost import Cost, Limits
from service.errors import (
    ClientGone,
    DeadlineExceeded,
    Overloaded,
    RunFailed,
    UnreadableModel,
    UnsupportedSignature,
)
from service.model import INLINE_SECONDS, Host, ServedModel
from service.watch import Watch
from tests import graphs
from tests.records import golden, metadata
from tests.threads import at_once

WEIGHT = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
pytestmark = pytest.mark.anyio


def classifier(**document: Any) -> onnx.ModelProto:
    properties = graphs.metadata_property(metadata(3, **document).model_dump_json())
    return graphs.linear(WEIGHT, np.zeros(2, np.float32), softmax=True, properties=properties)


def served(model: onnx.ModelProto, folder: Path) -> ServedModel:
    return ServedModel("m", 1, graphs.put(model, folder, "m"))


def test_golden_rows_that_reproduce_let_a_model_serve(tmp_path: Path) -> None:
    model = classifier(golden=golden([[0, 0, 0]], [[0.5, 0.5]]))
    assert served(model, tmp_path).predict({"x": np.zeros((1, 3), np.float32)})[0].tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [([[0.5, 0.501]], "off by 0.002"), ([[1.0]], "give shape"), ([[float("nan"), 0.5]], "off by inf")],
)
def test_golden_rows_that_do_not_reproduce_stop_it(
    tmp_path: Path, outputs: list[list[float]], reason: str
) -> None:
    document = metadata(3, golden=golden([[0, 0, 0]], [[0.5, 0.5]])).model_dump_json()
    spoiled = document.replace('"outputs":[[0.5,0.5]]', f'"outputs":{outputs}'.replace("nan", "NaN"))
    assert spoiled != document
    model = classifier()
    onnx.helper.set_model_props(model, graphs.metadata_property(spoiled))
    with pytest.raises(UnreadableModel, match=reason):
        served(model, tmp_path)


def test_metadata_that_contradict_the_graph_stop_it(tmp_path: Path) -> None:
    properties = graphs.metadata_property(metadata(4).model_dump_json())
    model = graphs.linear(WEIGHT, np.zeros(2, np.float32), properties=properties)
    with pytest.raises(UnreadableModel, match="name 4 features, its graph takes 3"):
        served(model, tmp_path)


def test_broken_metadata_stop_it(tmp_path: Path) -> None:
    model = graphs.linear(WEIGHT, np.zeros(2, np.float32), properties=graphs.metadata_property("{"))
    with pytest.raises(UnreadableModel, match="metadata are broken"):
        served(model, tmp_path)


def test_a_model_for_other_doors_loads_but_has_none_for_tables(tmp_path: Path) -> None:
    model = served(graphs.identity(graphs.STRING, ["N", 2, 2]), tmp_path)
    with pytest.raises(UnsupportedSignature, match="string"):
        _ = model.door


def test_a_model_that_fails_its_trial_run_is_refused(tmp_path: Path) -> None:
    model = graphs.identity(graphs.FLOAT, ["N", 2])
    nodes = [
        onnx.helper.make_node("Constant", [], ["shape"], value_ints=[7, 13]),
        onnx.helper.make_node("Reshape", ["x0", "shape"], ["y0"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    with pytest.raises(UnreadableModel, match="a trial run failed"):
        served(model, tmp_path)


def test_the_same_row_gives_the_same_bits_in_any_batch(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(64, 32)), generator.normal(size=32)
    model = served(graphs.linear(weight.astype("f4"), bias.astype("f4")), tmp_path)
    rows = generator.normal(size=(1024, 64)).astype(np.float32)
    alone = np.concatenate([model.predict({"x": rows[i : i + 1]})[0] for i in range(64)])
    for size in (2, 3, 16, 100, 1024):
        assert model.predict({"x": rows[:size]})[0][:64].tobytes() == alone[:size].tobytes()


def test_cost_grows_with_the_rows() -> None:
    assert Cost(1e-5, 1e-6).of(100) == pytest.approx(1.1e-4)


@pytest.mark.parametrize(
    ("fixed", "per_row", "light"), [(0.9, 0.0, False), (0.4, 0.1, True), (0.1, 0.8, True), (0.1, 1.0, False)]
)
def test_a_run_that_is_cheaper_shared_leaves_the_loop_sooner(
    tmp_path: Path, fixed: float, per_row: float, light: bool
) -> None:
    model = served(graphs.linear(WEIGHT, np.zeros(2, np.float32)), tmp_path)
    model.cost = Cost(fixed * INLINE_SECONDS, per_row * INLINE_SECONDS)
    assert model.is_light(1) is light


def slow(model: ServedModel, cost: Cost) -> ServedModel:
    """The model, thought to cost so much."""
    model.cost = cost
    model._batcher = model._new_batcher()
    return model


async def test_a_long_run_leaves_the_event_loop_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = served(graphs.linear(WEIGHT, np.zeros(2, np.float32)), tmp_path)
    threads_seen: list[str] = []
    run = model.session.run

    def watched(*arguments: Any) -> Any:
        threads_seen.append(current_thread().name)
        return run(*arguments)

    for cost in (Cost(INLINE_SECONDS / 2, 0), Cost(INLINE_SECONDS * 2, 0)):
        slow(model, cost)
        monkeypatch.setattr(model.session, "run", watched)
        watch = Watch()
        [output] = await model.predict_async({"x": np.ones((1, 3), np.float32)}, watch)
        assert output.tolist() == [[2.0, 2.0]]
        monkeypatch.undo()
        assert watch.run > 0
    assert [name.startswith("run") for name in threads_seen] == [False, True]
    assert model.counters.totals().executions == 2


async def test_rows_that_arrive_during_a_long_run_are_computed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = slow(
        served(graphs.linear(WEIGHT, np.zeros(2, np.float32)), tmp_path), Cost(INLINE_SECONDS * 2, 1e-6)
    )
    sizes: list[int] = []
    first_started, go_on = Event(), Event()
    run = model.session.run

    def held(feeds: Any, outputs: Any) -> Any:
        sizes.append(len(feeds["x"]))
        first_started.set()
        assert go_on.wait(10)
        return run(feeds, outputs)

    monkeypatch.setattr(model.session, "run", held)
    ask = [
        asyncio.create_task(model.predict_async({"x": np.full((1, 3), n, "f4")}, Watch())) for n in range(5)
    ]
    await asyncio.to_thread(first_started.wait, 10)
    go_on.set()
    answers = await asyncio.gather(*ask)
    assert [answer.tolist() for [answer] in answers] == [[[2.0 * n, 2.0 * n]] for n in range(5)]
    assert sizes == [5] or sizes == [1, 4]


async def test_more_rows_than_can_be_computed_in_time_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = graphs.put(graphs.linear(WEIGHT, np.zeros(2, np.float32)), tmp_path, "m")
    host = Host(limits=Limits(batch_rows=4, wait_seconds=1.0))
    model = slow(ServedModel("m", 1, path, host), Cost(0.0, 0.1))
    go_on, run = Event(), model.session.run
    monkeypatch.setattr(model.session, "run", lambda *given: (go_on.wait(10), run(*given))[1])
    ask = [asyncio.create_task(model.predict_async({"x": np.ones((4, 3), "f4")}, Watch())) for _ in range(5)]
    await asyncio.sleep(0)
    go_on.set()
    outcomes = await asyncio.gather(*ask, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Overloaded)]
    assert len(refused) == 3
    assert "the limit is 10" in str(refused[0])


@pytest.mark.parametrize("cost", [Cost(INLINE_SECONDS / 2, 0), Cost(INLINE_SECONDS * 2, 0)])
async def test_an_answer_that_would_come_too_late_is_not_computed(tmp_path: Path, cost: Cost) -> None:
    model = slow(served(graphs.linear(WEIGHT, np.zeros(2, np.float32)), tmp_path), cost)
    watch = Watch()
    watch.limit(1e-9)
    with pytest.raises(DeadlineExceeded):
        await model.predict_async({"x": np.ones((1, 3), "f4")}, watch)
    assert model.counters.totals().executions == 0


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Overloaded(1, 1), "REJECTED"),
        (DeadlineExceeded(), "REJECTED"),
        (ClientGone(), "CANCELED"),
        (RunFailed("x"), "BACKEND"),
        (UnsupportedSignature("x"), "OTHER"),
        (ZeroDivisionError(), "BACKEND"),
    ],
)
def test_a_request_that_fails_is_counted_by_its_reason(tmp_path: Path, error: Exception, why: str) -> None:
    model = served(graphs.linear(WEIGHT, np.zeros(2, np.float32)), tmp_path)
    with pytest.raises(type(error)), model.serving(Watch()):
        raise error
    assert {name for name, count in model.counters.totals().failures.items() if count} == {why}


def test_any_model_runs_by_name_in_several_threads(tmp_path: Path) -> None:
    model = served(graphs.identity(graphs.STRING, ["N"], inputs=2), tmp_path)
    feeds = {name: np.array([name, "é"], object) for name in ("x0", "x1")}

    def work() -> None:
        for _ in range(50):
            second, first = model.run(feeds, ["y1", "y0"])
            assert (second.tolist(), first.tolist()) == (["x1", "é"], ["x0", "é"])

    at_once(work, 4)


def test_inputs_without_a_result_are_told_without_positions_in_sources(tmp_path: Path) -> None:
    model = served(graphs.lookup(), tmp_path)
    feeds = {"table": np.zeros(2, np.float32), "i": np.array([9])}
    with pytest.raises(RunFailed, match="Gather: indices element out of data bounds") as refusal:
        model.run(feeds, ["y"])
    assert "/" not in str(refusal.value)
    with pytest.raises(RuntimeError, match="Unable to handle"):
        model.run({"table": object(), "i": feeds["i"]}, ["y"])  # type: ignore[dict-item]
