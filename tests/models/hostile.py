"""Pickles that attack their reader, built opcode by opcode."""

import io
import pickle
import struct
import warnings
import zipfile

import numpy as np
import torch

STOP = b"."
PROTO = b"\x80\x04"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def blob(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def mapping(**entries: bytes) -> bytes:
    return b"}(" + b"".join(text(k) + v for k, v in entries.items()) + b"u"


def thing(kind: str, state: bytes) -> bytes:
    meta = mapping(type=text("class"), class_name=text(kind), state=state)
    return call(named("torch_utils.persistence", "_reconstruct_persistent_obj"), meta)


def storage(values: torch.Tensor) -> bytes:
    """What torch writes as a tensor's data."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(values.storage(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def stored(data: bytes) -> bytes:
    return call(named("torch.storage", "_load_from_bytes"), blob(data))


def tensor(data: bytes, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    sizes = b"(" + b"".join(integer(n) for n in shape) + b"t"
    strides = b"(" + b"".join(integer(n) for n in stride) + b"t"
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, data, integer(offset), sizes, strides, b"\x89", b"}")


def integer(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def zipped(size: int) -> bytes:
    """A torch zip whose storage unpacks to many zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02}.")
        file.writestr("archive/data/0", bytes(size))
    return buffer.getvalue()


def cyclic_modules() -> bytes:
    modules = b"}q\x01" + text("me") + thing("Block", b"}" + text("_modules") + b"h\x01s") + b"s"
    return thing("Generator", mapping(_modules=modules))


def laughing_modules(levels: int) -> bytes:
    """Each module holds the one below twice."""
    parts, body = [], thing("Block", b"}")
    parts.append(body + b"q\x00" + b"0")
    for level in range(1, levels):
        below = b"j" + struct.pack("<I", level - 1)
        parts.append(thing("Block", mapping(_modules=mapping(a=below, b=below))))
        parts.append(b"r" + struct.pack("<I", level) + b"0")
    return b"".join(parts) + b"j" + struct.pack("<I", levels - 1)


def laughing_tuple(levels: int) -> bytes:
    """A nested tuple that is small in memory and endless to print, compare or hash."""
    return text("ha") + b"".join(b"2\x86" for _ in range(levels))


def snapshot(generator_arguments: bytes, *, tensors: bytes = b"}") -> bytes:
    state = mapping(_init_kwargs=generator_arguments, _parameters=tensors)
    networks = {
        "G": thing("Generator", state),
        "D": thing("Discriminator", state),
        "G_ema": thing("Generator", state),
    }
    return mapping(**networks)


def arguments(**over: bytes) -> bytes:
    usual = {
        "z_dim": number(8),
        "c_dim": number(0),
        "w_dim": number(8),
        "img_resolution": number(16),
        "img_channels": number(3),
    }
    return mapping(**{**usual, **over})


def colliding_integers(count: int) -> bytes:
    """Different integers of one hash."""
    prime = 2**61 - 1
    return b"}(" + b"".join(integer(i * prime + 1) + b"N" for i in range(1, count)) + b"u"


REFUSED: dict[str, bytes] = {
    "no end": PROTO + b"N",
    "nothing": PROTO + STOP,
    "underflow": PROTO + b"\x85.",
    "no mark": PROTO + b"t.",
    "frame of 2**62": PROTO + b"\x95" + struct.pack("<Q", 2**62) + b"h\x07.",
    "bytes of 2**62": PROTO + b"\x8e" + struct.pack("<Q", 2**62) + b"abc.",
    "text of 2**31": PROTO + b"X" + struct.pack("<I", 2**31) + b"abc.",
    "bytearray of 2**40": PROTO + b"\x96" + struct.pack("<Q", 2**40) + b"abc.",
    "long of 2**31": PROTO + b"\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",
    "long of -1": PROTO + b"\x8b" + struct.pack("<i", -1) + b"abc.",
    "integer of 8 MB": PROTO + b"\x8b" + struct.pack("<i", 1 << 23) + b"\x7f" * (1 << 23) + STOP,
    "integer of 5000 digits": b"I" + b"9" * 5000 + b"\n.",
    "memo 2**32 - 1": PROTO + b"Nr" + struct.pack("<I", 2**32 - 1) + STOP,
    "memo of text": b"Np99999999999999999999\n.",
    "list as key": PROTO + b"}]Ns.",
    "tuple as key": PROTO + b"}" + laughing_tuple(60) + b"Ns.",
    "tuple in a set": PROTO + b"\x8f(" + laughing_tuple(60) + b"\x90.",
    "tuple in a frozen set": PROTO + b"(" + laughing_tuple(60) + b"\x91.",
    "integers of one hash": PROTO + colliding_integers(20_000) + STOP,
    "set of a set of lists": PROTO + call(named("builtins", "set"), b"](]e") + STOP,
    "set of a number": PROTO + call(named("builtins", "set"), number(3)) + STOP,
    "mapping of a laugh": PROTO
    + call(named("collections", "OrderedDict"), b"(" + laughing_tuple(60) + b"l")
    + STOP,
    "call of a result": PROTO + call(call(named("builtins", "set")), number(3)) + STOP,
    "call of a text": PROTO + call(text("os.system"), text("true")) + STOP,
    "arguments that are a list": PROTO + named("builtins", "set") + b"]R.",
    "class of a dictionary": PROTO
    + call(named("collections", "OrderedDict"))
    + b"]"
    + mapping(__class__=named("builtins", "set"))
    + b"b.",
    "state of a list": PROTO + b"]}b.",
    "state of a class": PROTO + named("builtins", "set") + mapping(make=number(1)) + b"b.",
    "state of a constant": PROTO + named("torch", "float32") + mapping(x=number(1)) + b"b.",
    "append to a tuple": PROTO + b")Na.",
    "items of a list": PROTO + b"]NNs.",
    "eval": PROTO + call(named("builtins", "eval"), text("1")) + STOP,
    "eval by stack": PROTO + text("builtins") + text("eval") + b"\x93.",
    "name with a dot": PROTO + text("collections") + text("OrderedDict.fromkeys") + b"\x93.",
    "name that is a number": PROTO + number(1) + number(2) + b"\x93.",
    "name of 1 MB": PROTO + named("x" * (1 << 20), "y") + STOP,
    "name that no terminal prints": PROTO
    + b"X\x03\x00\x00\x00\xed\xa0\x80"
    + text("\x1b[2J")
    + b"\x93.",
    "instance": b"(ios\nsystem\n.",
    "object": PROTO + b"(" + named("os", "system") + text("true") + b"o.",
    "extension": PROTO + b"\x82\x01.",
    "persistent": PROTO + text("x") + b"Q.",
    "persistent by text": b"Pabc\n.",
    "buffer": PROTO + b"\x97.",
    "keywords": PROTO + named("builtins", "set") + b")" + mapping(a=number(1)) + b"\x92.",
    "data that is text": PROTO + call(named("torch.storage", "_load_from_bytes"), text("x")) + STOP,
    "data that is a command": PROTO + stored(b"cos\nsystem\n(S'true'\ntR.") + STOP,
    "data that is a pickle": PROTO + stored(pickle.dumps(0x1950A86A20F9469CFC6C)) + STOP,
    "data in data": PROTO + stored(PROTO + stored(PROTO + stored(b"N.") + STOP) + STOP) + STOP,
    "data that is a bomb": PROTO + stored(zipped(1 << 26)) + STOP,
    "cut data": PROTO + stored(storage(torch.zeros(64))[:-8]) + STOP,
    "data with more behind": PROTO + stored(storage(torch.zeros(64)) + b"more") + STOP,
    "data of another count": PROTO
    + stored(storage(torch.zeros(64)).replace(b"K\x40", b"K\xff"))
    + STOP,
    "tensor without data": PROTO + tensor(number(3), (1,), (1,)) + STOP,
    "object without class": PROTO
    + call(named("torch_utils.persistence", "_reconstruct_persistent_obj"), mapping())
    + STOP,
    "shape is a laugh": PROTO + call(named("torch", "Size"), laughing_tuple(60) + b"\x85") + STOP,
    "shape is a huge number": PROTO
    + call(named("torch", "Size"), integer(1 << 255) + b"\x85")
    + STOP,
    "number type is a laugh": PROTO + call(named("numpy", "dtype"), laughing_tuple(60)) + STOP,
    "number of records": PROTO + call(named("numpy", "dtype"), text("O8")) + STOP,
    "number without type": PROTO
    + call(named("numpy.core.multiarray", "scalar"), text("f8"), blob(b"12345678"))
    + STOP,
}
"""Refused while they are read: name -> bytes."""

for name, shape, stride, offset in [
    ("more than stored", (10**6, 10**6), (0, 0), 0),
    ("negative stride", (2,), (-1,), 3),
    ("negative offset", (1,), (1,), -1),
    ("stride of 2**39", (2, 2), (2**39, 1), 0),
    ("offset of 2**62", (1,), (1,), 2**62),
    ("negative size", (-1, -4), (1, 1), 0),
    ("many axes", (1,) * 40, (1,) * 40, 0),
    ("other axes", (2, 2), (1,), 0),
    ("behind the end", (2, 2), (2, 1), 3),
]:
    REFUSED[f"tensor: {name}"] = (
        PROTO + tensor(stored(storage(torch.zeros(4))), shape, stride, offset) + STOP
    )

BIG = stored(storage(torch.zeros(1 << 20)))
REFUSED["one storage, many tensors"] = (
    PROTO
    + BIG
    + b"q\x01("
    + b"".join(tensor(b"h\x01", (1 << 20,), (1,)) for _ in range(200))
    + b"l."
)
REFUSED["one list, many copies"] = (
    PROTO
    + b"]("
    + b"N" * 10_000
    + b"eq\x01("
    + b"".join(call(named("builtins", "set"), b"h\x01") for _ in range(1000))
    + b"l."
)

NO_SNAPSHOTS: dict[str, bytes] = {
    "cyclic list": PROTO + b"]q\x01h\x01a.",
    "cyclic modules": PROTO
    + mapping(G=cyclic_modules(), D=cyclic_modules(), G_ema=cyclic_modules())
    + STOP,
    "arguments that are no dictionary": PROTO + snapshot(number(3)) + STOP,
    "no sizes": PROTO + snapshot(mapping(img_resolution=number(16))) + STOP,
    "resolution is a laugh": PROTO + snapshot(arguments(img_resolution=laughing_tuple(60))) + STOP,
    "resolution 2**30": PROTO + snapshot(arguments(img_resolution=number(1 << 30))) + STOP,
    "resolution 65536": PROTO + snapshot(arguments(img_resolution=number(1 << 16))) + STOP,
    "latent of 2**30": PROTO + snapshot(arguments(z_dim=number(1 << 30))) + STOP,
    "latent of 2**200": PROTO + snapshot(arguments(z_dim=integer(1 << 200))) + STOP,
    "style of 100,000": PROTO + snapshot(arguments(w_dim=number(100_000))) + STOP,
    "labels of 2**30": PROTO + snapshot(arguments(c_dim=number(1 << 30))) + STOP,
    "no channels": PROTO
    + snapshot(arguments(synthesis_kwargs=mapping(channel_base=number(16), channel_max=number(1))))
    + STOP,
    "channels of 2**30": PROTO
    + snapshot(
        arguments(
            synthesis_kwargs=mapping(channel_base=number(1 << 30), channel_max=number(1 << 30))
        )
    )
    + STOP,
    "architecture is a laugh": PROTO
    + snapshot(arguments(synthesis_kwargs=mapping(architecture=laughing_tuple(60))))
    + STOP,
    "filter is a laugh": PROTO
    + snapshot(arguments(mapping_kwargs=mapping(resample_filter=laughing_tuple(60))))
    + STOP,
    "filter is a tensor": PROTO
    + snapshot(
        arguments(
            mapping_kwargs=mapping(
                resample_filter=tensor(stored(storage(torch.zeros(4))), (4,), (1,))
            )
        )
    )
    + STOP,
    "parameters are a list": PROTO + snapshot(arguments(), tensors=b"]") + STOP,
    "name of 1 MB": PROTO
    + snapshot(
        arguments(),
        tensors=b"}"
        + text("x" * (1 << 20))
        + tensor(stored(storage(torch.zeros(4))), (4,), (1,))
        + b"s",
    )
    + STOP,
    "block 0": PROTO
    + snapshot(
        arguments(),
        tensors=b"}"
        + text("b0.weight")
        + tensor(stored(storage(torch.zeros(4))), (4,), (1,))
        + b"s",
    )
    + STOP,
    "laughing modules": PROTO
    + laughing_modules(40)
    + b"q\xff0"
    + mapping(G=b"h\xff", D=b"h\xff", G_ema=b"h\xff")
    + STOP,
}
"""Readable, and refused as snapshots: name -> bytes."""


LONG: dict[str, bytes] = {
    "too many steps": PROTO + b"N0" * 600_000 + b"N.",
    "lists that are too deep": PROTO + b"]" * 900_000 + b"a" * 100_001 + STOP,
    "deep lists": PROTO + b"]" * 400_000 + b"a" * 399_999 + STOP,
    "many sets": PROTO + b"(" + b"\x8f" * 990_000 + b"l.",
    "many objects": PROTO
    + mapping(type=text("class"), class_name=text("x"), state=b"}")
    + b"\x85q\x01"
    + named("torch_utils.persistence", "_reconstruct_persistent_obj")
    + b"q\x02("
    + b"h\x02h\x01R" * 330_000
    + b"l.",
}
"""As many steps as a file may take, and more: name -> bytes."""


def tensorflow() -> bytes:
    """The form of a TensorFlow snapshot: three objects with state, arrays inside."""
    weights = pickle.dumps(np.zeros((2, 2), np.float32), protocol=4)[2:-1]
    # the array's frame is left out, since it is only a hint
    weights = weights[9:] if weights[:1] == b"\x95" else weights
    state = mapping(
        version=number(4),
        name=text("G"),
        static_kwargs=call(named("dnnlib.util", "EasyDict")),
        build_module_src=text("raise SystemExit"),
        variables=b"]" + text("w") + weights + b"\x86a",
    )
    network = named("dnnlib.tflib.network", "Network") + b")\x81" + state + b"b"
    return PROTO + network + network + network + b"\x87."
