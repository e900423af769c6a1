"""hrm_model.free_memory: the machine's free memory, or what its container leaves of it."""

from pathlib import Path

import pytest

from hrm_model.free_memory import free_memory
from hrm_model.placement import free_bytes

GIB = 2**30


def write(root: Path, files: dict[str, object]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n" if text else "")
    return root


def machine(root: Path, cgroup: str) -> Path:
    """Sixteen GiB, twelve of them free."""
    said = f"MemTotal: {16 * 2**20} kB\nMemFree: {2 * 2**20} kB\nMemAvailable: {12 * 2**20} kB"
    return write(root, {"proc/meminfo": said, "proc/self/cgroup": cgroup})


def second(folder: str, limit: object, used: int, inactive: int) -> dict[str, object]:
    """A group of version 2."""
    stat = f"anon 5\nactive_file 7\ninactive_file {inactive}"
    return {f"{folder}/memory.max": limit, f"{folder}/memory.current": used, f"{folder}/memory.stat": stat}


def first(folder: str, limit: int, used: int, inactive: int) -> dict[str, object]:
    """A group of version 1."""
    stat = f"inactive_file 9\ntotal_inactive_file {inactive}"
    return {
        f"{folder}/memory.limit_in_bytes": limit,
        f"{folder}/memory.usage_in_bytes": used,
        f"{folder}/memory.stat": stat,
    }


@pytest.mark.parametrize("cgroup", ["", "0::/", "4:memory:/\n0::/"])
def test_without_a_container_the_machine_says_how_much_is_free(tmp_path: Path, cgroup: str) -> None:
    assert free_memory(machine(tmp_path, cgroup)) == 12 * GIB


def test_a_machine_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    (machine(tmp_path, "") / "proc/self/cgroup").unlink()

    assert free_memory(tmp_path) == 12 * GIB


def test_a_containers_limit_holds_and_its_cached_files_can_go(tmp_path: Path) -> None:
    root = write(machine(tmp_path, "0::/"), second("sys/fs/cgroup", 4 * GIB, 3 * GIB, GIB // 2))

    assert free_memory(root) == 3 * GIB // 2


def test_a_container_may_have_what_the_machine_has_not(tmp_path: Path) -> None:
    root = write(machine(tmp_path, "0::/"), second("sys/fs/cgroup", 64 * GIB, GIB, 0))

    assert free_memory(root) == 12 * GIB


def test_a_group_without_a_limit_leaves_it_to_those_that_it_is_part_of(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/pods/one")
    write(root, second("sys/fs/cgroup/pods/one", "max", GIB, 0) | second("sys/fs/cgroup/pods", 2 * GIB, GIB, 0))

    assert free_memory(root) == GIB


def test_the_first_version_says_the_same_in_its_own_words(tmp_path: Path) -> None:
    root = machine(tmp_path, "5:devices:/\n4:cpu,memory:/docker/abc\n0::/")
    unlimited = first("sys/fs/cgroup/memory", 9223372036854771712, 20 * GIB, 0)
    write(root, first("sys/fs/cgroup/memory/docker/abc", 4 * GIB, 3 * GIB, GIB) | unlimited)

    assert free_memory(root) == 2 * GIB


@pytest.mark.parametrize("path", ["/docker/abc", "/../../docker/abc"])
def test_a_container_that_knows_only_the_machines_name_for_it_finds_its_limit(tmp_path: Path, path: str) -> None:
    root = write(machine(tmp_path, f"4:memory:{path}"), first("sys/fs/cgroup/memory", 2 * GIB, GIB, 0))

    assert free_memory(root) == GIB


def test_a_container_that_is_over_its_limit_has_nothing_free(tmp_path: Path) -> None:
    root = write(machine(tmp_path, "0::/"), second("sys/fs/cgroup", GIB, GIB + 4096, 0))

    assert free_memory(root) == 0


def test_a_cpus_free_bytes_are_those_of_this_machine() -> None:
    assert 0 < free_bytes("cpu") < 2**50
