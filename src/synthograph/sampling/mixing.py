"""Style mixing: images whose coarse layers take the styles of one latent and whose others take
those of another one.

Source: Karras et al. 2019, "A style-based generator architecture", section 3.1 and figure 3.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.sampling.latents import Latents
from synthograph.sampling.seeds import parse_numbers

# r latents of rows, c latents of columns, n mixtures, s style row, w width of a style


def parse_styles(text: str | None, rows: int) -> list[int]:
    """The style rows that are exchanged, from `0-6,9`; None is the coarser half of all.

    Args:
        text: single numbers and inclusive ranges.
        rows: style rows of the network.

    Raises:
        UserError: anything else, or a row that the network does not have.
    """
    if text is None:
        return list(range(rows // 2))
    return sorted(set(parse_numbers(text, "--styles", most=rows - 1, what="style row")))


def exchange(
    rows: Float[Tensor, "r s w"], cols: Float[Tensor, "c s w"], chosen: Sequence[int]
) -> Float[Tensor, "n s w"]:
    """Styles of every row's latent, with the chosen style rows from every column's latent; row by
    row.
    """
    mixed = rows[:, None].repeat(1, len(cols), 1, 1)
    mixed[:, :, list(chosen)] = cols[None][:, :, list(chosen)]
    return mixed.flatten(0, 1)


def mix(rows: Latents, cols: Latents, chosen: Sequence[int]) -> Latents:
    """All mixtures of styles, called `<row>-<col>`; class and noise are those of the row."""
    place = torch.arange(len(rows)).repeat_interleave(len(cols)).tolist()
    return replace(
        rows,
        values=exchange(rows.values, cols.values, chosen),
        labels=tuple(rows.labels[k] for k in place),
        names=tuple(f"{row}-{col}" for row in rows.names for col in cols.names),
        seeds=tuple(rows.seeds[k] for k in place),
        found_on=rows.found_on | cols.found_on,
    )
