"""What the doctor says of the machine, whatever machine that is."""

import pytest
import torch

from synthograph.core import devices
from synthograph.core.progress import Silent
from synthograph.workflows import doctor
from synthograph.workflows.requests import DoctorRequest


@pytest.mark.parametrize(
    ("flags", "unit", "used"),
    [
        ("avx512_bf16", "yes, by AVX-512", "cpu, bf16 (the processor computes, by AVX-512, bf16"),
        ("amx_bf16 avx512_bf16", "yes, by AMX", "cpu, bf16 (the processor computes, by AMX, bf16"),
        (
            "avx2",
            "no",
            "cpu, fp32 (bf16 would need a CUDA device, or a processor that",
        ),
    ],
)
def test_the_precision_of_training_and_why(
    flags: str, unit: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "_cpu_info", lambda key: flags)
    unit_of = devices.bf16_unit.__wrapped__
    for module in (devices, doctor):
        monkeypatch.setattr(module, "bf16_unit", unit_of)
    lines = doctor.run(DoctorRequest(), progress=Silent()).lines()
    assert f"  bf16 in hardware: {unit}" in lines
    assert any(line.startswith(f"training would use: {used}") for line in lines)
