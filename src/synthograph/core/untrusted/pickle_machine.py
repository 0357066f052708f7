"""A pickle machine that builds plain data only. No name is imported, only the given `SafeCall`s are
called, and steps, numbers, keys and copies are bounded.

Python's own machine calls what a pickle names, lets a pickle choose how much memory is taken
(indices of its memo, lengths of its strings), and hashes whatever a pickle uses as a key.
"""

import io
import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthograph.core.errors import UserError

MAX_STEPS = 1_000_000
"""Opcodes and copied elements of one file, nested pickles included; a published snapshot of
1024x1024 images takes about 100,000."""
MAX_INTEGER_BITS = 256
MAX_KEY = 1 << 20
SHOWN = 80


class RefusedError(Exception):
    """A pickle contains something that plain data never needs."""


@dataclass
class Budget:
    """Limits on the work and memory that one file may take.

    Attributes:
        size: bytes that all tensors together may take.
        steps: opcodes and copied elements that are left.
        named: names that the pickles of the file have asked for, in order.
    """

    size: int
    steps: int = MAX_STEPS
    named: dict[str, None] = field(default_factory=dict)

    def spend(self, steps: int) -> None:
        """Count steps.

        Raises:
            RefusedError: nothing is left.
        """
        self.steps -= steps
        if self.steps < 0:
            raise RefusedError(f"it takes more than {MAX_STEPS} steps")

    def spend_bytes(self, size: int) -> None:
        """Count the bytes of a tensor.

        Raises:
            RefusedError: all tensors together are larger than the file that holds them.
        """
        self.size -= size
        if self.size < 0:
            raise RefusedError("its tensors together are larger than the file")


@dataclass(frozen=True)
class SafeCall:
    """A harmless function that is called in place of the one that a pickle names."""

    make: Callable[..., Any]


class StandIn:
    """Takes the place of an object of a foreign class."""

    def build(self, state: object) -> None:
        """Accept the state that a pickle gives to the object.

        Raises:
            RefusedError: such objects have none.
        """
        raise RefusedError("it changes the state of plain data")


Persistent = Callable[[object], Any]


def no_persistent(pid: object) -> Any:  # noqa: ANN401
    """Refuse references to data outside the pickle."""
    raise RefusedError("it refers to storages outside of the file")


class Machine:
    """Reads one pickle from a stream and leaves the stream behind it.

    Args:
        stream: the bytes, in memory.
        names: (module, name) -> a `SafeCall`, or a value; every other name is refused.
        budget: shared by all pickles of a file.
        persistent: resolves persistent ids.
    """

    def __init__(
        self,
        stream: io.BytesIO,
        names: Mapping[tuple[str, str], Any],
        budget: Budget,
        persistent: Persistent = no_persistent,
    ) -> None:
        self.stream, self.names, self.budget = stream, names, budget
        self.persistent = persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:  # noqa: ANN401
        """The pickle's object.

        Raises:
            RefusedError: it is more than plain data, or too much of it.
            Exception: it is broken, in one of many ways.
        """
        for opcode, argument, _ in pickletools.genops(self.stream):
            self.budget.spend(1)
            name = opcode.name
            if name == "STOP":
                return self.stack.pop()
            step = getattr(self, f"_do_{name.lower()}", None)
            if name in _PLAIN:
                self.stack.append(_checked(argument))
            elif name in _FRESH:
                self.stack.append(_FRESH[name]())
            elif step is not None:
                step(argument)
            elif name not in _HINTS:
                raise RefusedError(f"it uses {name}, which plain data never needs")
        raise RefusedError("it has no end")

    # `_do_NAME` is what happens at the opcode of that name; opcodes without one are refused

    def _do_mark(self, _: object) -> None:
        self.below.append(self.stack)
        self.stack = []

    def _marked(self) -> list[Any]:
        """What was pushed since the last mark, taken off."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def _do_pop(self, _: object) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._marked()

    def _do_pop_mark(self, _: object) -> None:
        self._marked()

    def _do_dup(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def _do_put(self, index: int | None) -> None:
        number = len(self.memo) if index is None else index
        if not 0 <= number <= MAX_STEPS:
            raise RefusedError(f"it remembers a value under number {_cut(str(number))}")
        self.memo[number] = self.stack[-1]

    _do_binput = _do_long_binput = _do_memoize = _do_put

    def _do_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _do_binget = _do_long_binget = _do_get

    def _do_tuple1(self, _: object) -> None:
        self._tuple_of_last(1)

    def _do_tuple2(self, _: object) -> None:
        self._tuple_of_last(2)

    def _do_tuple3(self, _: object) -> None:
        self._tuple_of_last(3)

    def _tuple_of_last(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def _do_tuple(self, _: object) -> None:
        items = self._marked()  # which exchanges the stack
        self.stack.append(tuple(items))

    def _do_list(self, _: object) -> None:
        items = self._marked()
        self.stack.append(items)

    def _do_dict(self, _: object) -> None:
        items = self._marked()
        self.stack.append({})
        self._set(items)

    def _do_append(self, _: object) -> None:
        self._extend([self.stack.pop()])

    def _do_appends(self, _: object) -> None:
        self._extend(self._marked())

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise RefusedError("it appends to something that is no list")
        target.extend(items)

    def _do_setitem(self, _: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _do_setitems(self, _: object) -> None:
        self._set(self._marked())

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise RefusedError("it sets items of something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[as_key(key)] = value

    def _do_additems(self, _: object) -> None:
        items, target = self._marked(), self.stack[-1]
        if type(target) is not set:
            raise RefusedError("it adds to something that is no set")
        target.update(map(as_key, items))

    def _do_frozenset(self, _: object) -> None:
        items = self._marked()
        self.stack.append(frozenset(map(as_key, items)))

    def _do_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._find(module, name)

    def _do_stack_global(self, _: object) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise RefusedError("it names something by no text")
        self._find(module, name)

    def _find(self, module: str, name: str) -> None:
        self.budget.named[_cut(f"{module}.{name}")] = None
        if (module, name) not in self.names:
            raise RefusedError(f"it names {_cut(f'{module}.{name}')}")
        self.stack.append(self.names[module, name])

    def _do_reduce(self, _: object) -> None:
        arguments, maker = self.stack.pop(), self.stack.pop()
        self._call(maker, arguments)

    _do_newobj = _do_reduce

    def _do_newobj_ex(self, _: object) -> None:
        keywords, arguments, maker = self.stack.pop(), self.stack.pop(), self.stack.pop()
        if keywords != {}:
            raise RefusedError("it makes an object with keyword arguments")
        self._call(maker, arguments)

    def _call(self, maker: object, arguments: object) -> None:
        if not isinstance(maker, SafeCall) or type(arguments) is not tuple:
            raise RefusedError("it calls something that is data")
        self.budget.spend(len(arguments))
        self.stack.append(maker.make(*arguments))

    def _do_build(self, _: object) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, StandIn):
            target.build(state)
        elif not isinstance(target, dict):  # attributes of dictionaries are not needed
            raise RefusedError("it changes the state of plain data")

    def _do_binpersid(self, _: object) -> None:
        self.stack.append(self.persistent(self.stack.pop()))


def parse(path: Path | str, read: Callable[[], Any], *, what: str = "pickle") -> Any:  # noqa: ANN401
    """Run a reader; whatever a broken file makes it raise becomes one error.

    Args:
        path: the file, for messages.
        read: reads it.
        what: what it should be, for messages.

    Raises:
        UserError: the file holds more than data, or is broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of odd escapes in texts
            return read()
    except RefusedError as error:
        raise UserError(f"{path}: refused, {error}; nothing was executed") from None
    except Exception as error:  # noqa: BLE001 - a broken file makes a machine raise anything
        raise UserError(
            f"{path}: is no readable {what} ({type(error).__name__}: {ascii(str(error)[:80])})"
        ) from None


def as_key(key: object) -> str | int:
    """A key of a dictionary or member of a set: text or a small integer, since hashing others can
    take for ever.

    Raises:
        RefusedError: it is something else.
    """
    if isinstance(key, str):
        return key
    if type(key) is int and abs(key) <= MAX_KEY:
        return key
    raise RefusedError(f"a key is {type(key).__name__}, only text and small integers are allowed")


def _checked(value: object) -> object:
    if type(value) is int and value.bit_length() > MAX_INTEGER_BITS:
        raise RefusedError(f"it holds an integer of {value.bit_length()} bits")
    return value


def _cut(text: str) -> str:
    """Untrusted text for a message: short and printable."""
    safe = text if text.isprintable() and text.isascii() else ascii(text[:SHOWN])
    return safe if len(safe) <= SHOWN else f"{safe[:SHOWN]}..."


_PLAIN = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_HINTS = frozenset(("PROTO", "FRAME"))
"""Opcodes that change nothing."""
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
