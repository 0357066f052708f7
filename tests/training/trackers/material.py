"""Parameters and a picture of a run that is none."""

import io

from PIL import Image


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, "PNG")
    return file.getvalue()


PARAMS = {"seed": 0, "training": {"kimg": 1.5, "batch": 4}, "data": {"split": None}}
PICTURE = _picture()
