"""Devices by name, precision by what the processor can do."""

import platform
import subprocess
import sys

import pytest
import torch

from synthograph.core import devices
from synthograph.core.devices import Precision, block_dtype, pick_device, pick_precision
from synthograph.core.errors import UserError


def test_devices_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")


def test_fp32_on_cuda_is_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    pick_device("cpu")
    assert torch.backends.cudnn.allow_tf32
    pick_device("cuda")
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    "name", ["gpu", "", "cuda:7", "cuda:-1", "meta", "cuda:x", "cuda:" + "9" * 30, "xpu"]
)
def test_devices_that_are_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="use "):
        pick_device(name)


@pytest.mark.parametrize(
    ("device", "flags", "expected"),
    [
        ("cuda", "avx2 avx512f", Precision.BF16),
        ("cpu", "avx2 avx512f amx_bf16", Precision.BF16),
        ("cpu", "avx2 avx512f avx512_bf16", Precision.BF16),
        ("cpu", "avx2 avx512f", Precision.FP32),
        ("cpu", "", Precision.FP32),
    ],
)
def test_precision_follows_the_hardware(
    device: str, flags: str, expected: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_cpu_info", lambda key: flags)
    monkeypatch.setattr(devices, "bf16_unit", devices.bf16_unit.__wrapped__)
    assert pick_precision(Precision.AUTO, torch.device(device)) is expected
    for wanted in (Precision.FP32, Precision.BF16):
        assert pick_precision(wanted, torch.device(device)) is wanted


FAULTS = """
import resource
from synthograph.core.devices import keep_freed_memory
{call}
def work():
    parts = [bytearray(3_000_000) for _ in range(4)]
    for part in parts:
        part[::4096] = bytes(len(part[::4096]))
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again() -> None:
    faults = [
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(call=call)]))
        for call in ("", "keep_freed_memory()")
    ]
    assert faults[0] > 20 * 1000
    assert faults[1] < 100


def test_dtypes() -> None:
    assert block_dtype(Precision.BF16) is torch.bfloat16
    assert block_dtype(Precision.FP32) is torch.float32


def test_a_machine_without_proc_has_a_processor_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "_cpu_info", lambda key: "")
    assert devices.cpu_name.__wrapped__() == "unknown processor"
    assert devices.bf16_unit.__wrapped__() is None
