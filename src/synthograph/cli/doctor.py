"""`synthograph doctor`: what is installed, what is used and why."""

import typer

EXTRAS = {
    "tensorboard": ("tensorboard", "training curves in TensorBoard beside stats.jsonl"),
}
LIBRARIES = (
    "torch",
    "numpy",
    "pillow",
    "scipy",
    "pydantic",
    "typer",
    "safetensors",
    "pydicom",
    "nibabel",
    "tifffile",
)


def doctor() -> None:
    """Print versions, devices, which fast paths are in use and why, and what missing extras would
    add.
    """
    import importlib.util
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    import synthograph
    from synthograph.core.devices import Precision, cpu_name, has_amx, pick_device, pick_precision
    from synthograph.core.files import cache_folder

    typer.echo(
        f"synthograph {synthograph.__version__}, Python {platform.python_version()}, "
        f"{platform.platform()}"
    )
    for name in LIBRARIES:
        try:
            typer.echo(f"  {name} {version(name)}")
        except PackageNotFoundError:
            typer.echo(f"  {name} is missing: pip install synthograph again")
    typer.echo(
        f"processor: {cpu_name()}, {os.cpu_count()} cores, torch uses {torch.get_num_threads()} "
        f"threads"
    )
    typer.echo(f"  bf16 matrix unit (AMX): {'yes' if has_amx() else 'no'}")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        typer.echo(f"  cuda:{index} {properties.name}, {properties.total_memory / 2**30:.0f} GB")
    device = pick_device("auto")
    precision = pick_precision(Precision.AUTO, device)
    why = (
        "bf16 needs a CUDA device or AMX"
        if precision is Precision.FP32
        else "it computes bf16 in hardware"
    )
    typer.echo(f"training would use: {device}, {precision} ({why})")
    typer.echo(
        "convolutions: channels-last (their backward pass and the resampling filter are faster "
        "that way)"
    )
    typer.echo(f"cache: {cache_folder()}")
    for extra, (module, gain) in EXTRAS.items():
        state = (
            "installed"
            if importlib.util.find_spec(module)
            else f"missing, pip install 'synthograph[{extra}]'"
        )
        typer.echo(f"extra {extra}: {state}: {gain}")
