"""Precision, cost and versions."""

import os
import resource
import sys

import pytest
import torch
from torch import nn

from segbench.hardware import device as hardware
from segbench.hardware.memory import peak_memory, release_memory, reset_peak_memory


def test_auto_precision_follows_the_processor(monkeypatch) -> None:
    def on(gpu: bool, native: bool, cpu: bool) -> str:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: native)
        monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: cpu)
        return hardware.auto_precision("auto")

    assert on(gpu=True, native=True, cpu=False) == "bf16-mixed"
    assert on(gpu=True, native=False, cpu=True) == "16-mixed"
    assert on(gpu=False, native=False, cpu=True) == "bf16-mixed"
    assert on(gpu=False, native=False, cpu=False) == "32-true"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hardware.auto_precision("cpu") == "32-true"


def test_cores_are_those_that_the_process_may_use(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 6}, raising=False)
    assert hardware.available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert hardware.available_cores() == 7


def test_flops_of_a_convolution_by_hand() -> None:
    network = nn.Conv2d(3, 8, 3, padding=1)
    # 8 outputs of 3·3·3 multiply-adds at each of 10 × 12 pixels, two operations each
    assert hardware.count_flops(network, 3, (10, 12)) == 2 * 8 * 27 * 120
    assert network.weight.device.type == "cpu"


def test_peak_memory_is_what_came_after_the_reset() -> None:
    cpu = torch.device("cpu")
    block = torch.ones(64 * 2**20 // 4)  # 64 MiB
    del block
    release_memory()  # else the next block may take what other tests freed
    reset_peak_memory(cpu)
    before = peak_memory(cpu)
    block = torch.ones(128 * 2**20 // 4)
    assert 100 * 2**20 < peak_memory(cpu) - before < 200 * 2**20
    del block
    release_memory()
    reset_peak_memory(cpu)
    assert peak_memory(cpu) < before + 64 * 2**20


def test_environment_names_what_decides_a_result() -> None:
    found = hardware.environment(torch.device("cpu"), "32-true")
    assert found["precision"] == "32-true"
    assert found["device"]
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
@pytest.mark.parametrize(("large", "megabytes", "blocks"), [(True, 64, 1), (False, 8, 24)])
def test_kept_memory_costs_no_new_pages(large: bool, megabytes: int, blocks: int) -> None:
    def new_pages() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            held = [torch.ones(megabytes * 2**18) for _ in range(blocks)]
            del held
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    if not hardware.keep_freed_memory(large):
        pytest.skip("no glibc")
    try:
        new_pages()
        kept = new_pages()
    finally:
        hardware.return_freed_memory()
    assert kept < new_pages() / 5
