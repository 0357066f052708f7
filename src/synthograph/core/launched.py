"""Whether this process is one of several that torchrun started, as the environment says.

Other software sets the same variables, or some of them. A variable that is empty counts as not set.
"""

import os
from dataclasses import dataclass

from synthograph.core.errors import UserError

SIZE, RANK, LOCAL_RANK = "WORLD_SIZE", "RANK", "LOCAL_RANK"
ADDRESS, PORT = "MASTER_ADDR", "MASTER_PORT"
RESTARTS = "TORCHELASTIC_RESTART_COUNT"
LAUNCH = "TORCHELASTIC_RUN_ID"


@dataclass(frozen=True)
class Launched:
    """The place of a process among those that were started together.

    Attributes:
        size: how many they are, at least two.
        rank: its number.
        local_rank: its number on this machine.
        address: of the machine where they find each other.
        port: there.
    """

    size: int
    rank: int
    local_rank: int
    address: str
    port: int


def launched() -> Launched | None:
    """The place of this process; None where it is alone.

    Raises:
        UserError: a variable is no number, or one is missing that goes with `WORLD_SIZE`.
    """
    size = 1 if _value(SIZE) is None else _number(SIZE)
    if size < 1:
        raise UserError(f"{SIZE}={_value(SIZE)}: is a number of processes, from 1; {_way_out()}")
    if size == 1:
        return None
    rank, local_rank = _number(RANK), _number(LOCAL_RANK)
    for name, number in ((RANK, rank), (LOCAL_RANK, local_rank)):
        if number >= size:
            raise UserError(f"{name}={number}: is not below {SIZE}={size}; {_way_out()}")
    address = _value(ADDRESS)
    if address is None:
        raise UserError(_missing(ADDRESS))
    return Launched(size, rank, local_rank, address, _number(PORT))


def place() -> Launched | None:
    """The place of this process; None also where the variables of other software say only in part
    that it is not alone.
    """
    try:
        return launched()
    except UserError:
        return None


def restarts() -> int:
    """How often torchrun has started these processes again."""
    return 0 if _value(RESTARTS) is None else _number(RESTARTS)


def launch_name() -> str | None:
    """What torchrun, which starts again what fails, calls the launch of this process, also where it
    is alone; None without torchrun.
    """
    return _value(LAUNCH)


def _value(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _number(name: str) -> int:
    value = _value(name)
    if value is None:
        raise UserError(_missing(name))
    if not (value.isascii() and value.isdecimal()):
        raise UserError(f"{name}={value}: is no whole number; {_way_out()}")
    return int(value)


def _missing(name: str) -> str:
    return (
        f"{name} is not set, though {SIZE}={_value(SIZE)} says that this is one of several "
        f"processes; {_way_out()}"
    )


def _way_out() -> str:
    return f"if other software set these variables, unset {SIZE} (env -u {SIZE} synthograph ...)"
