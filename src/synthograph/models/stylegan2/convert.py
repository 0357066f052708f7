"""Published StyleGAN2-ADA snapshots (`network-snapshot-*.pkl`) as our networks, by their parameter
names.
"""

import re
from typing import Any, TypeGuard

import torch
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.pickles import StoredObject
from synthograph.core.untrusted.tensors import load_tensors
from synthograph.models.base import Condition, ImportedModel, Networks
from synthograph.models.stylegan2.config import StyleGAN2Config

MODALITY = "image"
RENAMED = (
    (r"\btorgb\.", f"heads.{MODALITY}."),
    (r"\bfromrgb\.", "from_image."),
    (r"\bmapping\.fc(\d+)\.", r"mapping.layers.\1."),
    (r"\bfc\.", "dense."),
)
WHOLE_BATCH = 1 << 30
UNUSED = re.compile(r"resample_filter$")
TENSORFLOW = "Network"
MAX_CLASSES = 10_000
MAX_TEXT = 100
LABEL_RATE = 0.01
FIXED: dict[str, tuple[Any, ...]] = {
    "activation": ("lrelu",),
    "resample_filter": ([1, 3, 3, 1], (1, 3, 3, 1)),
}


def is_published(content: object) -> TypeGuard[JsonObject]:
    """Whether a pickle's content is a StyleGAN2-ADA snapshot."""
    return isinstance(content, dict) and all(
        isinstance(content.get(key), StoredObject) for key in ("G", "D", "G_ema")
    )


def refuse_tensorflow(content: object) -> None:
    """Name the way out where a pickle is of the TensorFlow versions of StyleGAN.

    Raises:
        UserError: it is: a tuple of networks, whose layers exist only as program text in the file.
    """
    if not isinstance(content, tuple | list) or len(content) != 3:
        return
    if all(isinstance(part, StoredObject) and part.kind == TENSORFLOW for part in content):
        raise UserError(
            "was written by a TensorFlow version of StyleGAN, whose networks are program text that "
            "is not executed here; if you trust the file, convert it once with legacy.py of the "
            "published StyleGAN2-ADA for PyTorch (--source OLD.pkl --dest NEW.pkl) and give the "
            "new file"
        )


def convert(content: JsonObject, build: Any) -> ImportedModel:  # noqa: ANN401 - Family.build
    """Networks with the weights of a published snapshot.

    Args:
        content: what `read_pickle` gave, `is_published`.
        build: (spec, condition, config) -> networks.

    Raises:
        UserError: an option of the published networks that is not supported, or tensors that do not
            fit.
    """
    generator, discriminator = _arguments(content["G_ema"]), _arguments(content["D"])
    resolution = _whole(generator, "img_resolution")
    channels = _whole(generator, "img_channels")
    spec = ImageSpec.parse(
        {"height": resolution, "width": resolution, "modalities": {MODALITY: channels}}
    )
    width = _whole({"c_dim": 0} | generator, "c_dim")
    if width > MAX_CLASSES:
        raise UserError(
            f"the snapshot has labels of {width} values, at most {MAX_CLASSES} are read"
        )
    condition = Condition(tuple(str(i) for i in range(width)), width)
    config = StyleGAN2Config.parse(_config(generator, discriminator))
    networks: Networks = build(spec, condition, config)
    ema = build(spec, condition, config).generator
    _copy(networks.generator, content["G"], top=resolution)
    _copy(ema, content["G_ema"], top=resolution)
    _copy(networks.discriminators[MODALITY], content["D"], top=resolution)
    return ImportedModel(spec, condition, config, networks, ema)


def _arguments(thing: StoredObject) -> JsonObject:
    """The constructor's keyword arguments."""
    kwargs = thing.state.get("_init_kwargs")
    if not isinstance(kwargs, dict) or "img_resolution" not in kwargs:
        raise UserError(f"the snapshot's {thing.kind[:MAX_TEXT]!r} does not say how it was built")
    return dict(kwargs)


def _whole(kwargs: JsonObject, name: str) -> int:
    """A keyword argument that is a whole number."""
    value = kwargs.get(name)
    if type(value) is not int or value < 0:
        raise UserError(f"the snapshot's generator has no whole number {name}")
    return value


def _config(generator: JsonObject, discriminator: JsonObject) -> JsonObject:
    mapping = _plain(generator.get("mapping_kwargs"), "generator mapping")
    synthesis = _plain(generator.get("synthesis_kwargs"), "synthesis")
    images = _plain(discriminator, "discriminator")
    epilogue = _plain(discriminator.get("epilogue_kwargs"), "discriminator epilogue")
    labels = _plain(discriminator.get("mapping_kwargs"), "discriminator mapping")
    if labels.get("lr_multiplier", LABEL_RATE) != LABEL_RATE:
        raise UserError(
            "the snapshot's discriminator mapping has lr_multiplier = "
            f"{labels['lr_multiplier']!r}, only {LABEL_RATE} is supported"
        )
    _plain(discriminator.get("block_kwargs"), "discriminator block")
    return {
        "z_dim": _whole(generator, "z_dim"),
        "w_dim": _whole(generator, "w_dim"),
        "mapping_layers": mapping.get("num_layers", 8),
        "mapping_width": mapping.get("layer_features"),
        "embedding_width": mapping.get("embed_features"),
        "mapping_rate": mapping.get("lr_multiplier", 0.01),
        "w_avg_decay": mapping.get("w_avg_beta", 0.995),
        "channel_base": synthesis.get("channel_base", 32768),
        "channel_max": synthesis.get("channel_max", 512),
        "clamp": synthesis.get("conv_clamp"),
        "noise": synthesis.get("use_noise", True) or False,
        "generator_architecture": synthesis.get("architecture", "skip"),
        "discriminator_architecture": images.get("architecture", "resnet"),
        "discriminator_channel_base": images.get("channel_base", 32768),
        "discriminator_channel_max": images.get("channel_max", 512),
        "discriminator_clamp": images.get("conv_clamp"),
        "label_width": images.get("cmap_dim"),
        "label_layers": labels.get("num_layers", 8),
        "label_mapping_width": labels.get("layer_features"),
        "label_embedding_width": labels.get("embed_features"),
        "mbstd_group": epilogue.get("mbstd_group_size", 4) or WHOLE_BATCH,
        "mbstd_channels": epilogue.get("mbstd_num_channels", 1) or 0,
    }


def _plain(kwargs: object, what: str) -> JsonObject:
    """Keyword arguments that are single values, without those whose only supported value they
    have.
    """
    if not isinstance(kwargs, dict | None):
        raise UserError(f"the snapshot's {what} does not say how it was built")
    result = {}
    for name, value in (kwargs or {}).items():
        single = isinstance(value, bool | int | float | None) or (
            isinstance(value, str) and len(value) <= MAX_TEXT
        )
        if name in FIXED:
            if not _is_fixed(value, FIXED[name]):
                shown = repr(value)[:MAX_TEXT] if single else f"a {type(value).__name__}"
                raise UserError(
                    f"the snapshot's {what} has {name} = {shown}, only {FIXED[name][0]!r} is "
                    "supported"
                )
        elif single:
            result[name] = value
        elif not isinstance(value, dict):  # arguments of inner networks are read by themselves
            raise UserError(f"the snapshot's {what} has an option {name!r:.100} of an unknown kind")
    return result


def _is_fixed(value: object, allowed: tuple[Any, ...]) -> bool:
    if isinstance(value, list | tuple):
        simple = len(value) <= MAX_TEXT and all(isinstance(v, int | float) for v in value)
        return simple and value in allowed
    return isinstance(value, str | bool) and value in allowed


def _copy(module: torch.nn.Module, thing: StoredObject, *, top: int) -> None:
    source: dict[str, Tensor] = {}
    for name, tensor in thing.tensors().items():
        if not UNUSED.search(name):
            source[_rename(name, generator=thing.kind == "Generator", top=top)] = tensor
    load_tensors(module, source, f"the snapshot's {thing.kind[:MAX_TEXT]!r}")


def _rename(name: str, *, generator: bool, top: int) -> str:
    """A published parameter name as ours; blocks are counted from the coarsest (generator) or
    finest.
    """
    found = re.search(r"\bb(\d+)\.", name)
    if found:
        resolution = int(found[1])
        number = (
            resolution.bit_length() - 3
            if generator
            else (top // max(resolution, 1)).bit_length() - 1
        )
        epilogue = not generator and resolution == 4
        name = name.replace(found[0], "" if epilogue else f"blocks.{number}.")
    for pattern, ours in RENAMED:
        name = re.sub(pattern, ours, name)
    return name
