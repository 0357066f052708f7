"""Who watches a supervised training, besides its log. This room knows no tracker: a workflow hands
in what does.
"""

from collections.abc import Mapping

from synthograph.core.untrusted.documents import JsonObject


class Watcher:
    """Gets numbers of a training while it runs; this one does nothing with them. It neither fails
    nor has the training wait.
    """

    def begin(self, settings: JsonObject, step: int) -> None:
        """Called before the first step of a sitting.

        Args:
            settings: of the training (`FitConfig`).
            step: how many steps earlier sittings did; what they told of later ones is void.
        """

    def scalars(self, values: Mapping[str, float | None], step: int) -> None:
        """Numbers by name after so many steps; None where one is not finite."""
