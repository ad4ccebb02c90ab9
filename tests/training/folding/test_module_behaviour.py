"""Around a fold: refusals and their reasons, what the result can be used for, what it leaves alone."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.folding.module_corpus import Written, fn, randomised
from training.folding import FoldError, Reason, fold_module


def mlp() -> nn.Module:
    torch.manual_seed(0)
    parts = [nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()]
    return randomised(nn.Sequential(*parts, nn.Linear(8, 3)))


def reasons(module: nn.Module, *inputs: Any, **options: Any) -> list[Reason | None]:
    return [entry.reason for entry in fold_module(module, inputs, **options).report.entries]


X = torch.linspace(-1, 1, 20).reshape(4, 5)


def test_the_input_module_is_left_as_it_was() -> None:
    module = mlp()
    watch: list[int] = []
    module[2].register_forward_hook(lambda m, args, out: out)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    hooks = [dict(m._forward_hooks) for m in module.modules()]
    module[0].weight.requires_grad_(False)
    fold_module(module, (X,))
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert hooks == [dict(m._forward_hooks) for m in module.modules()]
    assert not module.training
    assert not watch


def test_the_result_is_an_ordinary_module() -> None:
    module = mlp()
    folded = fold_module(module, (X,)).module
    for other in (copy.deepcopy(folded), pickle.loads(pickle.dumps(folded)), folded.train().eval()):  # noqa: S301
        torch.testing.assert_close(other(X), module(X))
    names = {"0.weight", "0.bias", "3.weight", "3.bias", "6.weight", "6.bias"}
    assert set(folded.state_dict()) == names
    again = copy.deepcopy(folded)
    again.load_state_dict(folded.state_dict())
    assert all(parameter.requires_grad for parameter in folded.parameters())
    torch.testing.assert_close(
        folded.to(torch.float64)(X.double()), module.double()(X.double()), atol=1e-6, rtol=0
    )
    assert folded(input=X.double()).requires_grad


def test_the_report_counts_what_was_there_and_what_is_left() -> None:
    report = fold_module(mlp(), (X,)).report
    assert [(e.layer, e.kind, e.channels, e.into, e.direction) for e in report.entries] == [
        ("1", "BatchNorm", 8, "0", "previous"),
        ("4", "BatchNorm", 8, "3", "previous"),
    ]
    assert report.parameters_before - report.parameters_after == 2 * (4 * 8 + 1)
    assert (report.layers_before, report.layers_after) == (7, 5)
    assert report.folded == 2


def test_training_mode_is_refused() -> None:
    module = mlp().train()
    folded = fold_module(module, (X,))
    assert [entry.reason for entry in folded.report.entries] == [Reason.TRAINING_MODE] * 2
    assert folded.module.training
    assert torch.equal(folded.module[1].running_mean, module[1].running_mean)


def test_a_frozen_norm_among_training_ones_is_folded() -> None:
    module = mlp()
    module[1].train()
    folded = fold_module(module, (X,))
    assert [entry.reason for entry in folded.report.entries] == [Reason.TRAINING_MODE, None]
    twin = copy.deepcopy(module)
    torch.testing.assert_close(folded.module(X), twin(X))
    torch.testing.assert_close(folded.module.state_dict()["1.running_mean"], twin[1].running_mean)


def test_a_norm_without_statistics_is_refused() -> None:
    module = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7, track_running_stats=False)).eval()
    assert reasons(module, X) == [Reason.NO_RUNNING_STATISTICS]


def test_a_branch_on_the_data_is_refused_and_its_blocks_are_folded() -> None:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.fc(h)
        return m.block(m.bn(y) if y.sum() > 0 else y)

    block = nn.Sequential(nn.Linear(7, 7), nn.BatchNorm1d(7), nn.ReLU())
    module = randomised(fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7), block=block))
    folded = fold_module(module, (X,))
    got = {entry.layer: entry.reason for entry in folded.report.entries}
    assert got == {"block.1": None, "bn": Reason.DATA_DEPENDENT}
    for rows in (X, -X, X[:1]):
        torch.testing.assert_close(folded.module(rows), module(rows))


def test_a_norm_inside_cond_is_refused() -> None:
    def forward(m: Any, h: Tensor) -> Tensor:
        return torch.cond(h.sum() > 0, lambda y: m.bn(m.fc(y)), lambda y: m.fc(y), (h,))  # type: ignore[no-any-return]

    module = randomised(fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)))
    assert reasons(module, X) == [Reason.DATA_DEPENDENT]


def test_what_cannot_be_traced_is_folded_block_by_block() -> None:
    def forward(m: Any, h: Tensor) -> Tensor:
        return torch.from_numpy(m.net(h).detach().numpy() * 2)

    net = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7))
    module = randomised(fn(forward, net=net))
    folded = fold_module(module, (X,))
    assert folded.report.folded == 1
    torch.testing.assert_close(folded.module(X), module(X))


def test_hooks_that_change_what_passes_are_part_of_the_graph() -> None:
    module = mlp()
    module[3].register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    module.register_forward_hook(lambda m, args, out: out + 1)
    folded = fold_module(module, (X,))
    assert folded.report.folded >= 2
    torch.testing.assert_close(folded.module(X), module(X))


def test_hooks_that_watch_go_on_watching() -> None:
    module = randomised(
        nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Sequential(nn.Linear(7, 7), nn.BatchNorm1d(7)))
    )
    seen: list[Tensor] = []
    module[0].register_forward_hook(lambda m, args, out: seen.append(out))
    folded = fold_module(module, (X,))
    assert {entry.layer: entry.reason for entry in folded.report.entries} == {"1": Reason.HOOKS, "2.1": None}
    seen.clear()
    torch.testing.assert_close(folded.module(X), module(X))
    assert len(seen) == 2
    torch.testing.assert_close(seen[0], seen[1])


def test_overflow_is_refused() -> None:
    layer, norm = nn.Linear(5, 7).half(), nn.BatchNorm1d(7, eps=1e-7).half()
    assert norm.running_var is not None
    norm.running_var.fill_(1e-7)
    norm.weight.data.fill_(6e4)
    layer.weight.data.fill_(1e-3)
    layer.bias.data.fill_(0.5)
    assert norm.running_mean is not None
    norm.running_mean.fill_(0.5)
    module = nn.Sequential(layer, norm).eval()
    assert reasons(module, torch.zeros(4, 5).half()) == [Reason.OUT_OF_RANGE]


def test_bad_statistics_are_refused() -> None:
    module = mlp()
    module[1].running_var[0] = -1.0
    module[4].running_mean[0] = float("nan")
    assert reasons(module, X) == [Reason.NEGATIVE_VARIANCE, Reason.NON_FINITE]


def test_a_module_that_fails_on_its_example_is_an_error() -> None:
    with pytest.raises(FoldError, match="example-inputs-fail"):
        fold_module(mlp(), (torch.zeros(4, 6),))


def test_a_scripted_module_is_an_error() -> None:
    with pytest.raises(FoldError, match="not-exportable"):
        fold_module(_scripted(mlp()), (X,))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def _scripted(module: nn.Module) -> nn.Module:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(module)  # type: ignore[no-any-return]


def test_forward_folds_can_be_turned_off() -> None:
    module = randomised(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 3)))
    assert fold_module(module, (X,)).report.folded == 1
    assert reasons(module, X, forward=False) == [Reason.NO_LINEAR_NEIGHBOUR]


def test_a_large_shift_stays_in_front_as_one_subtraction() -> None:
    """The amp rule: the standard deviation is 1, the mean 1000."""
    torch.manual_seed(0)
    rows = torch.randn(512, 64) + 1000.0
    norm = nn.BatchNorm1d(64)
    assert norm.running_mean is not None
    norm.running_mean.fill_(1000.0)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    module = nn.Sequential(norm, nn.Linear(64, 3)).eval()
    folded = fold_module(module, (rows,))
    assert [entry.direction for entry in folded.report.entries] == ["split"]
    with torch.no_grad():
        truth = copy.deepcopy(module).double()(rows.double())
        error = [(m(rows).double() - truth).abs().max().item() for m in (folded.module, module)]
    assert error[0] <= error[1]
    entry = fold_module(module, (rows,), amp_limit=1e9).report.entries[0]
    assert entry.direction == "next"
    assert entry.amp is not None
    assert entry.amp > 32


def test_shared_weights_are_copied_on_write_and_stay_shared_where_they_can() -> None:
    tower = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU())
    siamese = randomised(fn(lambda m, a, b: m.tower(a) - m.tower(b), tower=tower))
    report = fold_module(siamese, (X, X + 1)).report
    assert report.parameters_after == 42
    forward = lambda m, h: m.b(m.fc(m.a(m.fc(h)).relu()))  # noqa: E731
    twice = randomised(fn(forward, fc=nn.Linear(5, 5), a=nn.BatchNorm1d(5), b=nn.BatchNorm1d(5)))
    assert fold_module(twice, (X,)).report.parameters_after == 60


def test_image_sizes_stay_free() -> None:
    module = randomised(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    )
    folded = fold_module(module, (torch.randn(2, 3, 8, 8),)).module
    for shape in ((1, 3, 5, 9), (3, 3, 17, 6)):
        rows = torch.randn(shape)
        torch.testing.assert_close(folded(rows), module(rows))


def test_another_rank_or_width_is_refused_not_answered_wrongly() -> None:
    folded = fold_module(mlp(), (X,)).module
    with pytest.raises(ValueError, match="rank 2"):
        folded(torch.zeros(4, 5, 5))
    with pytest.raises(ValueError, match="== 5"):
        folded(torch.zeros(4, 6))


def test_a_branch_on_shape_is_right_on_both_sides() -> None:
    def forward(m: Any, h: Tensor) -> Tensor:
        return m.bn(m.fc(h)) if h.shape[0] > 6 else m.bn(m.fc(h).relu())

    module = randomised(fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)))
    folded = fold_module(module, (X,)).module
    for size in (1, 2, 6, 7, 8, 50):
        rows = torch.randn(size, 5)
        torch.testing.assert_close(folded(rows), module(rows))


def test_a_loop_over_the_batch_is_right_for_every_batch() -> None:
    def forward(m: Any, h: Tensor) -> Tensor:
        return torch.cat([m.net(h[i : i + 1]) for i in range(h.shape[0])])

    net = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7))
    module = randomised(fn(forward, net=net))
    folded = fold_module(module, (X[:2],)).module
    for size in (1, 2, 3, 9, 20):
        rows = torch.randn(size, 5)
        torch.testing.assert_close(folded(rows), module(rows))


def test_an_old_style_weight_norm_is_folded() -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = torch.nn.utils.weight_norm(nn.Linear(5, 7))
    module = randomised(nn.Sequential(layer, nn.BatchNorm1d(7)))
    folded = fold_module(module, (X,))
    assert folded.report.folded == 1
    torch.testing.assert_close(folded.module(X), module(X))


def test_the_training_module_folds_completely() -> None:
    """Standardiser, hidden layers with the norm written out and target scaling, as in the pipeline."""
    parts: dict[str, Any] = {"mean": torch.randn(5), "scale": torch.rand(5) + 0.5}
    parts |= {"target_mean": torch.tensor(3.0), "target_scale": torch.tensor(20.0)}
    hidden = [
        nn.Linear(5, 8),
        Written(8),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(8, 8),
        Written(8, shared=True),
        nn.ReLU(),
    ]
    net = nn.Sequential(*hidden, nn.Linear(8, 1))

    def forward(m: Any, h: Tensor) -> Tensor:
        return m.net((h - m.mean) / m.scale) * m.target_scale + m.target_mean

    module = randomised(fn(forward, net=net, **parts))
    folded = fold_module(module, (X,))
    assert folded.report.folded == len(folded.report.entries) == 4
    assert folded.report.layers_after == 5
    torch.testing.assert_close(folded.module(X), module(X))


def test_importing_the_package_needs_no_torch() -> None:
    code = "import sys, training.folding; assert 'torch' not in sys.modules; training.folding.fold_module"
    subprocess.run([sys.executable, "-c", code], check=True)
