"""Folding a chain of layers: every combination against the chain itself in float64, and every refusal."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from training.folding.report import FoldError, Reason
from training.folding.torch_module import Shift, fold_module
from training.model import BatchNorm, Standardiser, TargetScale


def random_statistics(module: nn.Module, seed: int = 0) -> nn.Module:
    """Parameters and running statistics away from their starting values, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith(("running_var", "scale")):
                tensor.uniform_(0.2, 3, generator=generator)
            elif tensor.is_floating_point():
                tensor.normal_(generator=generator)
    return module.eval()


def row_error(output: Tensor, truth: Tensor) -> float:
    return float(((output.double() - truth).abs().amax(1) / truth.abs().amax(1)).mean())


def assert_same_function(chain: nn.Sequential, folded: nn.Sequential, features: int) -> None:
    x = torch.randn(64, features, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        truth = copy.deepcopy(chain).double()(x.double())
        # The parameters are rounded once; within a layer of a few units that is some eps of error.
        assert row_error(folded(x), truth) < 32 * 2.0**-23
        assert row_error(copy.deepcopy(folded).double()(x.double()), truth) < 16 * 2.0**-23


CHAINS: dict[str, Callable[[], list[nn.Module]]] = {
    "linear, norm": lambda: [nn.Linear(4, 6), nn.BatchNorm1d(6)],
    "linear without bias, norm": lambda: [nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6)],
    "norm of one moment for all": lambda: [nn.Linear(4, 6), BatchNorm(6, 1e-3, 0.1, "all"), nn.GELU()],
    "norm without gamma and beta": lambda: [nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False)],
    "norm first": lambda: [nn.BatchNorm1d(4), nn.Linear(4, 6)],
    "norm after the activation": lambda: [
        nn.Linear(4, 6), nn.Tanh(), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)
    ],
    "standardiser, norm, target": lambda: [
        Standardiser(torch.zeros(4).numpy(), torch.ones(4).numpy()),
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Linear(6, 1), TargetScale(3.0, 2.0),
    ],
    "norm, norm": lambda: [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Identity(), nn.BatchNorm1d(6)],
    "two norms first": lambda: [nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Linear(4, 2)],
    "nested": lambda: [nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), nn.Sequential(nn.Tanh())],
}  # fmt: skip


@pytest.mark.parametrize("layers", CHAINS.values(), ids=CHAINS)
def test_a_folded_chain_is_the_same_function_without_its_norms(layers: Callable[[], list[nn.Module]]) -> None:
    chain = random_statistics(nn.Sequential(*layers()))
    assert isinstance(chain, nn.Sequential)
    before = copy.deepcopy(chain.state_dict())
    result = fold_module(chain)
    assert_same_function(chain, result.module, 4)
    kinds = (nn.BatchNorm1d, BatchNorm, Standardiser, TargetScale)
    assert not any(isinstance(layer, kinds) for layer in result.module.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in chain.state_dict().items())
    assert result.report.folded == len(result.report.entries) > 0
    assert result.report.parameters_after <= result.report.parameters_before + 6


LAYER = st.sampled_from(["norm", "all", "relu", "tanh", "dropout", "linear"])


@settings(max_examples=60, deadline=None)
@given(st.lists(LAYER, min_size=1, max_size=7), st.integers(0, 1000))
def test_any_chain_folds_to_the_same_function_or_is_refused_with_a_reason(
    kinds: list[str], seed: int
) -> None:
    make: dict[str, Callable[[], nn.Module]] = {
        "norm": lambda: nn.BatchNorm1d(5),
        "all": lambda: BatchNorm(5, 1e-3, 0.1, "all"),
        "relu": nn.ReLU,
        "tanh": nn.Tanh,
        "dropout": lambda: nn.Dropout(0.5),
        "linear": lambda: nn.Linear(5, 5),
    }
    chain = random_statistics(nn.Sequential(*(make[kind]() for kind in kinds)), seed).double().float()
    assert isinstance(chain, nn.Sequential)
    try:
        result = fold_module(chain)
    except FoldError as refusal:
        assert refusal.reason == Reason.NO_LINEAR_NEIGHBOUR  # noqa: PT017 - only a refusal needs one
        return
    x = torch.randn(16, 5, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        truth = copy.deepcopy(chain).double()(x.double())
        error = (copy.deepcopy(result.module).double()(x.double()) - truth).abs().max()
        assert error <= 2e-4 * max(1.0, float(truth.abs().max()))


def test_a_large_shift_stays_as_one_subtraction() -> None:
    chain = random_statistics(nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 4)))
    with torch.no_grad():
        chain[0].running_mean.fill_(1000.0)
    folded = fold_module(chain)
    assert [type(layer) for layer in folded.module] == [Shift, nn.Linear]
    [entry] = folded.report.entries
    assert entry.direction == "split"
    assert entry.amp is not None
    assert entry.amp > 32
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)) + 1000
    with torch.no_grad():
        truth = copy.deepcopy(chain).double()(x.double())
        split = row_error(folded.module(x), truth)
        whole = row_error(fold_module(chain, amp_limit=1e9).module(x), truth)
    assert split < 16 * 2.0**-23
    assert whole > 5 * split


def training_mode() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()


def spoiled(**statistics: float) -> nn.Sequential:
    chain = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    for name, value in statistics.items():
        getattr(chain[1], name).data.fill_(value)
    return chain


def hooked() -> nn.Sequential:
    chain = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    chain[0].register_forward_hook(lambda *_: None)
    return chain


def shared() -> nn.Sequential:
    linear = nn.Linear(2, 2)
    return nn.Sequential(linear, nn.BatchNorm1d(2), linear).eval()


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        (training_mode(), Reason.TRAINING_MODE),
        (
            nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)).eval(),
            Reason.NO_RUNNING_STATISTICS,
        ),
        (spoiled(running_mean=float("nan")), Reason.NON_FINITE),
        (spoiled(weight=float("inf")), Reason.NON_FINITE),
        (spoiled(running_var=-1.0), Reason.NEGATIVE_VARIANCE),
        (spoiled(weight=1e38, running_var=1e-12), Reason.OUT_OF_RANGE),
        (nn.Sequential(nn.ReLU(), nn.BatchNorm1d(2)).eval(), Reason.NO_LINEAR_NEIGHBOUR),
        (nn.Sequential(nn.ReLU(), nn.BatchNorm1d(2), nn.ReLU()).eval(), Reason.NO_LINEAR_NEIGHBOUR),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(2)).eval(), Reason.CHANNELS_DIFFER),
        (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(2, 2)).eval(), Reason.CHANNELS_DIFFER),
        (nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 1)).eval(), Reason.UNKNOWN_MODULE),
        (hooked(), Reason.HOOKS),
        (shared(), Reason.SHARED_MODULE),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_what_cannot_be_folded_is_refused_with_its_reason(chain: nn.Sequential, reason: Reason) -> None:
    with pytest.raises(FoldError, match=reason.value) as refusal:
        fold_module(chain)
    assert refusal.value.reason is reason
