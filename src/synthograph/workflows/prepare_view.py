"""The window and the colours that a request for an archive wants, and what is recorded of them."""

from collections.abc import Sequence
from dataclasses import replace

from synthograph.archive.prepare import PrepareOptions
from synthograph.archive.reader import RowDecoder
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress
from synthograph.core.record import SourceItem
from synthograph.core.untrusted.documents import JsonObject
from synthograph.report.words import several
from synthograph.sources.base import Grey
from synthograph.sources.view import (
    Colour,
    View,
    Window,
    WindowScope,
    measure_limits,
    other_reading,
    parse_centred,
    view_volumes,
    viewed,
)
from synthograph.workflows.requests import PrepareRequest

DICOM = "dicom_modality"
"""Column of images of DICOM files."""
SLICE = "slice"
"""Column of images of volumes."""
AGAIN = "window_of_window"
"""Key of what an archive keeps of its view: its source had been through a window already."""
TRAIN = "train"
UNSPLIT = (
    "of all images, those that will test, too; to leave these out, prepare without a window, then "
    "'synthograph split', then prepare that archive with the window"
)


def seen_through(
    request: PrepareRequest, items: Sequence[SourceItem], rules: PrepareOptions, progress: Progress
) -> tuple[Sequence[SourceItem], PrepareOptions]:
    """Items whose pixels are windowed or converted if that is wanted, and the rules that say so and
    how files were read.
    """
    read = _reading(request, items)
    colour = None if request.colour is None else Colour(request.colour)
    if request.window is None or request.window in set(Grey):
        view = View(colour=colour)
    else:
        window = Window.parse(request.window, WindowScope(request.window_scope))
        view = View(window, colour=colour)
        note = other_reading(request.window)
        if note and any(DICOM in item.columns for item in items):
            progress.log(f"note: {note}")
        if window.percentiles and window.scope is WindowScope.VOLUME:
            if any(_lost_volume(item) for item in items):
                raise UserError(
                    f"--window-scope volume: {request.source} does not say which slices are of one "
                    "volume: take archive or image, or prepare the files of the volumes again"
                )
            items = view_volumes(items, view, progress.track("measuring"))
            return items, _told(rules, view, read)
        if window.percentiles and window.scope is WindowScope.ARCHIVE:
            train = [item for item in items if item.split == TRAIN]
            limits = measure_limits(train or items, window, progress.track("measuring"))
            of = f"of {several(len(train), 'training image')}" if train else UNSPLIT
            for name, (low, high) in limits.items():
                progress.log(
                    f"note: window of {name}: {low:g} becomes black and {high:g} white, "
                    f"percentiles {of}"
                )
            view = replace(view, limits=tuple(limits.items()), split=TRAIN if train else None)
    return viewed(items, view), _told(rules, view, read)


def _lost_volume(item: SourceItem) -> bool:
    """Whether an archive calls a slice by a name that does not say of which volume it is."""
    return isinstance(item.decode, RowDecoder) and SLICE in item.columns and "#" not in item.name


def _told(rules: PrepareOptions, view: View, read: JsonObject) -> PrepareOptions:
    """The rules with what is new beside what an archive knew of its images before."""
    before, new = rules.view or {}, view.record() or {}
    told = {**before, **new, **read}
    if "window" in new and is_windowed(before):
        told[AGAIN] = True
    return rules.model_copy(update={"view": told or None})


def is_windowed(view: JsonObject) -> bool:
    """Whether what an archive keeps of its images says that a window chose their grey values."""
    return "window" in view or view.get("dicom", Grey.VALUES) != Grey.VALUES


def _reading(request: PrepareRequest, items: Sequence[SourceItem]) -> JsonObject:
    """What decides the pixels of DICOM files and volumes while they are read."""
    found: JsonObject = {"axis": request.axis, "spacing": request.spacing}
    window, files = request.window, [i for i in items if not isinstance(i.decode, RowDecoder)]
    own = window is not None and (window in set(Grey) or parse_centred(window) is not None)
    if any(DICOM in item.columns for item in files):
        found["dicom"] = window if own else str(Grey.VALUES)
    return {name: value for name, value in found.items() if value is not None}
