"""Items of which only some are taken, in order, whoever makes them and however often it is
interrupted.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from synthograph.archive.parts import Trim
from synthograph.archive.writer import EncodedImage
from synthograph.core.record import SourceItem


class Places:
    """Keeps count of such items (`SourceItem.most`) while they are made.

    Args:
        taken: name -> how many are taken already.
    """

    def __init__(self, taken: Mapping[str, int]) -> None:
        self._taken, self._begun = Counter(taken), Counter[str]()

    def full(self, item: SourceItem) -> bool:
        """Whether it is not needed."""
        return item.most is not None and self._taken[item.most[0]] >= item.most[1]

    def promised(self, item: SourceItem) -> bool:
        """Whether it is needed only if one that has begun comes to nothing."""
        name, most = item.most or ("", 1)
        return self._taken[name] + self._begun[name] >= most

    def begin(self, item: SourceItem) -> None:
        """Count an item that is being made."""
        if item.most is not None:
            self._begun[item.most[0]] += 1

    def end(self, item: SourceItem, *, taken: bool) -> None:
        """Count what came of an item that had begun."""
        if item.most is not None:
            self._begun[item.most[0]] -= 1
            self._taken[item.most[0]] += taken


def counted(items: Sequence[SourceItem], memories: Sequence[Any]) -> Counter[str]:
    """Name -> how many of the items that were made first came to an image.

    Args:
        items: all of them.
        memories: what the writer remembers of the first ones.
    """
    pairs = zip(items, memories, strict=False)
    return Counter(item.most[0] for item, m in pairs if item.most and m["shapes"])


def within_quota(
    items: Iterator[SourceItem], taken: Mapping[str, int], empty: Callable[[SourceItem], Any]
) -> Trim:
    """Leaves out of a part what is beyond a quota: it does not know how many others there are.

    Args:
        items: those of the part that are taken over.
        taken: name -> how many came before them.
        empty: what is remembered of an item that is not needed.
    """
    places = Places(taken)

    def trim(images: list[EncodedImage], memory: Any) -> tuple[list[EncodedImage], Any]:  # noqa: ANN401
        item = next(items)
        if places.full(item):
            return [], empty(item)
        places.begin(item)
        places.end(item, taken=bool(images))
        return images, memory

    return trim
