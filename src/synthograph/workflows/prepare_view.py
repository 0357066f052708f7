"""The window and the colours that a request for an archive wants."""

from collections.abc import Sequence
from dataclasses import replace

from synthograph.archive.prepare import PrepareOptions
from synthograph.core.progress import Progress
from synthograph.core.record import SourceItem
from synthograph.sources.base import Grey
from synthograph.sources.view import (
    Colour,
    View,
    Window,
    WindowScope,
    measure_limits,
    other_reading,
    view_volumes,
    viewed,
)
from synthograph.workflows.requests import PrepareRequest


def seen_through(
    request: PrepareRequest, items: Sequence[SourceItem], rules: PrepareOptions, progress: Progress
) -> tuple[Sequence[SourceItem], PrepareOptions]:
    """Items whose pixels are windowed or converted if that is wanted, and the rules that say so."""
    colour = None if request.colour is None else Colour(request.colour)
    if request.window is None or request.window in set(Grey):
        view = View(colour=colour)
    else:
        window = Window.parse(request.window, WindowScope(request.window_scope))
        view = View(window, colour=colour)
        note = other_reading(request.window)
        if note and any("dicom_modality" in item.columns for item in items):
            progress.log(f"note: {note}")
        if window.percentiles and window.scope is WindowScope.VOLUME:
            items = view_volumes(items, view, progress.track("measuring"))
            return items, rules.model_copy(update={"view": view.record()})
        if window.percentiles and window.scope is WindowScope.ARCHIVE:
            limits = measure_limits(items, window, progress.track("measuring"))
            for name, (low, high) in limits.items():
                progress.log(f"note: window of {name}: {low:g} becomes black and {high:g} white")
            view = replace(view, limits=tuple(limits.items()))
    kept = rules if view.record() is None else rules.model_copy(update={"view": view.record()})
    return viewed(items, view), kept
