"""The type checker that jaxtyping's import hook applies under pytest: an int counts as a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
