from pathlib import Path

import pytest

from service.budget import Budget, cpu_quota

V2 = "0::/pod/container"
V1 = "3:memory:/a\n2:cpu,cpuacct:/pod/container\n1:name=systemd:/"


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    for name, text in ({"proc/self/cgroup": groups} | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        (V2, {"sys/fs/cgroup/pod/container/cpu.max": "150000 100000"}, 1.5),
        (V2, {"sys/fs/cgroup/pod/container/cpu.max": "max 100000"}, None),
        (
            V2,
            {
                "sys/fs/cgroup/pod/container/cpu.max": "400000 100000",
                "sys/fs/cgroup/pod/cpu.max": "100000 50000",
            },
            2,
        ),
        # The path is the host's, the mount the container's own group.
        (V2, {"sys/fs/cgroup/cpu.max": "300000 100000"}, 3),
        (
            V1,
            {
                "sys/fs/cgroup/cpu,cpuacct/pod/container/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/pod/container/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        (
            V1,
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        (V1, {}, None),
        ("", {"sys/fs/cgroup/cpu.max": "100000 100000"}, None),
    ],
)
def test_the_quota_is_the_smallest_on_the_way_up(
    tmp_path: Path, groups: str, files: dict[str, str], quota: float | None
) -> None:
    assert cpu_quota(machine(tmp_path, groups, files)) == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("budget", "threads"),
    [
        (Budget(8), 8),
        (Budget(8, workers=3), 2),
        (Budget(64, 2.0, 1), 2),
        (Budget(64, 2.5, 2), 1),
        (Budget(2, 0.5, 1), 1),
        (Budget(4, workers=8), 1),
    ],
)
def test_a_worker_gets_its_share_and_at_least_one_thread(budget: Budget, threads: int) -> None:
    assert budget.threads == threads


def test_a_budget_in_words() -> None:
    assert str(Budget(1)) == "1 worker, 1 thread (1 CPU, no quota)"
    assert str(Budget(8, 2.5, 2)) == "2 workers, 1 thread each (8 CPUs, quota 2.5)"


def test_this_machine_gives_something() -> None:
    assert Budget.of_machine().threads >= 1
