"""Images in formats that no reader knows: they are named, with a way that leads here."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from synthograph.core.names import first_few

PICTURE = "save it as PNG with any picture program"
PHOTOGRAPH = "develop it to PNG or to 8-bit TIFF"
VOLUME = "save it as NIfTI (.nii.gz), such as with 3D Slicer"
ARRAY = "save every image of it as PNG or TIFF, such as with Pillow"
DATABASE = (
    "export its images to a folder, such as with data.py of LSUN (github.com/fyu/lsun): "
    "python data.py export X_lmdb --out_dir FOLDER"
)
BENCHMARK = "give it, or the folder that it lies in, as SOURCE"
SLIDE = "convert it to a pyramidal TIFF, such as with QuPath"


@dataclass(frozen=True, slots=True)
class Foreign:
    """Files of a kind that is not read, and what to do with them."""

    kind: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    way: str

    @property
    def reason(self) -> str:
        """Why such a file is rejected."""
        return f"{self.kind} is not read: {self.way}"


def _magic(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _never(head: bytes) -> bool:
    return False


_HEIF = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
FOREIGN: tuple[Foreign, ...] = (
    Foreign("JPEG XL", (".jxl",), _magic(b"\xff\x0a", b"\0\0\0\x0cJXL "), PICTURE),
    Foreign(
        "HEIF or AVIF",
        (".heic", ".heif", ".avif"),
        lambda h: h[4:8] == b"ftyp" and h[8:12] in _HEIF,
        PICTURE,
    ),
    Foreign("PNM", tuple(".pnm .ppm .pgm .pbm .pam".split()), _never, PICTURE),
    Foreign("Photoshop", (".psd", ".psb"), _magic(b"8BPS"), PICTURE),
    Foreign("TGA, PCX or ICO", (".tga", ".pcx", ".ico"), _never, PICTURE),
    Foreign("OpenEXR", (".exr",), _magic(b"v/1\x01"), PICTURE),
    Foreign(
        "camera raw", tuple(".cr2 .cr3 .nef .arw .dng .orf .rw2 .raf".split()), _never, PHOTOGRAPH
    ),
    Foreign("NRRD", (".nrrd", ".nhdr"), _magic(b"NRRD000"), VOLUME),
    Foreign("MetaImage", (".mha", ".mhd"), _magic(b"ObjectType = Image"), VOLUME),
    Foreign(
        "whole slide",
        tuple(".vsi .isyntax .zvi .lif".split()),
        _never,
        SLIDE,
    ),
    Foreign("NumPy array", (".npy",), _magic(b"\x93NUMPY"), ARRAY),
    Foreign("LMDB", (), lambda h: h[16:20] == b"\xde\xc0\xef\xbe", DATABASE),
    Foreign(
        "MNIST",
        tuple(f"{sep}idx{n}-ubyte{gz}" for sep in "-." for n in (1, 3) for gz in ("", ".gz")),
        _magic(b"\0\0\x08\x03"),
        BENCHMARK,
    ),
    Foreign(
        "CIFAR",
        tuple(f"cifar-{n}-{v}.tar.gz" for n in (10, 100) for v in ("python", "binary")),
        _never,
        BENCHMARK,
    ),
    Foreign("MedMNIST or other NumPy arrays", (".npz",), _never, BENCHMARK),
    Foreign("HDF5", (".h5", ".hdf5"), _magic(b"\x89HDF\r\n\x1a\n"), ARRAY),
)
"""By ending, else by the first bytes."""


def foreign_by_name(name: str) -> Foreign | None:
    """The kind that the ending of a name says."""
    lowered = name.lower()
    return next((kind for kind in FOREIGN if lowered.endswith(kind.suffixes)), None)


def foreign_by_content(head: bytes) -> Foreign | None:
    """The kind of a file that begins so."""
    return next((kind for kind in FOREIGN if kind.begins(head)), None)


def kinds_of(foreign: Mapping[str, Foreign]) -> str:
    """Kinds of files that are not read, with counts, and the way out of each."""
    counts = Counter(kind.reason for kind in foreign.values())
    return first_few([f"{n} x {reason}" for reason, n in counts.most_common()], separator="; ")
