"""Interpreter of pickle instructions on plain values and inert stand-ins only.

A name in the file becomes a `Named`: the text of the name, never the Python object. The caller's
table says what each name may make. Nothing is allocated that the rest of the file could not
fill, so a small file costs little, whatever it claims.

Source: the instructions of protocols 0 to 5, as Python's ``pickletools`` describes them.
"""

import codecs
import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any

from .budget import Budget
from .parts import LARGE, BrokenPickleError, ForeignObjectError, Inert, Named, Source
from .values import as_key, fill_keys, settled

_MOST = 5_000_000  # instructions
_INTEGER = 255  # bytes, and digits
# Raised by wrong numbers and arguments; torch's errors are RuntimeErrors.
_FAULTS = (ValueError, TypeError, LookupError, struct.error, ArithmeticError, RuntimeError)

Makers = Mapping[str, Callable[..., Any] | Inert | None]


class Machine:
    """Reader of one pickle.

    Args:
        source: The stream; after reading it stands behind the pickle's last instruction.
        makers: Full name -> function that makes an inert or plain value of the arguments, or a
            stand-in; None for a name that may be mentioned but not called.
        persistent: Makes the value of a persistent id; None rejects persistent ids.
        most: Limit on the number of instructions.
    """

    def __init__(
        self,
        source: Source,
        makers: Makers,
        persistent: Callable[[Any], Any] | None = None,
        most: int = _MOST,
    ) -> None:
        self.source, self._makers, self._persistent, self._most = source, makers, persistent, most
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._budget = Budget(source.left, most)

    def load(self) -> Any:
        """Return the content of the pickle: plain values and the values of the makers.

        Raises:
            BrokenPickleError: If it is damaged or exceeds a limit.
            ForeignObjectError: If it names a class or function that has no maker.
        """
        try:
            for _ in range(self._most):
                code = self.source.take(1)
                if code in _STEPS:
                    _STEPS[code](self)
                elif code == pickle.STOP:
                    return settled(self._pop())
                else:
                    raise BrokenPickleError(f"{code!r} is no instruction that is read here")
        except (BrokenPickleError, ForeignObjectError):
            raise
        except _FAULTS as fault:
            text = ascii(str(fault))[1:-1][:120]
            raise BrokenPickleError(f"{type(fault).__name__}: {text}") from fault
        raise BrokenPickleError(f"more than {self._most:,} instructions")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        self._top()
        return self._stack.pop()

    def _top(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise BrokenPickleError("it takes a value that is not there")
        return self._stack[-1]

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _marked(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _frame(self) -> None:
        if self.source.number("<Q") > self.source.left:
            raise BrokenPickleError("it ends early")

    def _integer_line(self) -> None:
        text = self.source.short_line().strip().removesuffix("L")
        if len(text) > _INTEGER:
            raise BrokenPickleError(f"an integer of {len(text)} digits")
        self._push({"00": False, "01": True}[text] if text in ("00", "01") else int(text))

    def _integer(self, form: str) -> None:
        size = self.source.number(form)
        if not 0 <= size <= _INTEGER:
            raise BrokenPickleError(f"an integer of {size:,} bytes")
        self._push(int.from_bytes(self.source.take(size), "little", signed=True))

    def _text(self, form: str) -> None:
        self._push(self.source.take(self.source.number(form)).decode("utf-8", "surrogatepass"))

    def _bytes(self, form: str) -> None:
        self._push(self.source.many(self.source.number(form)))

    def _old_text_line(self) -> None:
        """Push quoted latin-1 text of Python 2, in which its arrays keep their bytes."""
        text = self.source.line().strip()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise BrokenPickleError("a text without quotation marks")
        self._push(codecs.escape_decode(text[1:-1])[0].decode("latin1"))

    def _text_line(self) -> None:
        self._push(self.source.line().decode("raw-unicode-escape"))

    def _old_text(self, form: str) -> None:
        size = self.source.number(form)
        text = self.source.many(size) if size >= LARGE else self.source.take(size)
        self._push(text.decode("latin1") if isinstance(text, bytes) else text)

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _append(self, values: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise BrokenPickleError("it appends to what is no list")
        target.extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._top()
        if type(target) is not dict:
            raise BrokenPickleError("it gives keys to what has none")
        fill_keys(target, values)

    def _add_items(self) -> None:
        values = self._marked()
        target = self._top()
        if type(target) is not set:
            raise BrokenPickleError("it adds to what is no set")
        target.update(map(as_key, values))

    def _one_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _dict(self) -> None:
        made: dict[Any, Any] = {}
        fill_keys(made, self._marked())
        self._push_object(made)

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise BrokenPickleError(f"it refers to value {place}, which it has not given")
        self._push(self._memo[place])

    def _put(self, place: int) -> None:
        self._memo[place] = self._top()

    def _global(self) -> None:
        module, name = self.source.short_line(), self.source.short_line()
        self._push_object(self._named(module, name))

    def _global_of_stack(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise BrokenPickleError("a name that is no text")
        self._push_object(self._named(module, name))

    def _named(self, module: str, name: str) -> Inert:
        if module == "numpy.core" or module.startswith("numpy.core."):
            module = "numpy._core" + module[len("numpy.core") :]  # numpy 1
        full = f"{module}.{name}"
        if full not in self._makers:
            raise ForeignObjectError(full)
        make = self._makers[full]
        return make if isinstance(make, Inert) else Named(full, make)

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, Named) or type(arguments) is not tuple:
            raise BrokenPickleError("it calls what is no function")
        if function.make is None:
            raise ForeignObjectError(f"a call of {function.name}")
        self._budget.copy(arguments)
        self._push_object(function.make(*arguments))

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if isinstance(target, Inert):
            self._budget.copy(state)
            target.build(state)
        elif type(target) is not dict:  # attributes of a dict (versions of modules) are dropped
            raise BrokenPickleError("it describes what is no object")

    def _push_object(self, value: Any) -> None:
        self._budget.make(value)
        self._push(value)

    def _object(self, values: list[Any]) -> None:
        for value in values:
            if isinstance(value, Named):
                raise ForeignObjectError(f"an object of {value.name}")
        raise BrokenPickleError("an object of no class")

    def _instance(self) -> None:
        raise ForeignObjectError(f"{self.source.short_line()}.{self.source.short_line()}")

    def _persistent_id(self, key: Any) -> None:
        if self._persistent is None:
            raise BrokenPickleError("it refers to something outside of the file")
        self._push_object(self._persistent(key))


_Step = Callable[[Machine], Any]


def _plain(value: Callable[[], Any]) -> _Step:
    return lambda machine: machine._push(value())


_STEPS: dict[bytes, _Step] = {
    pickle.PROTO: lambda machine: machine.source.take(1),
    pickle.FRAME: Machine._frame,
    pickle.MARK: Machine._mark,
    pickle.POP: Machine._pop,
    pickle.POP_MARK: Machine._marked,
    pickle.NONE: _plain(lambda: None),
    pickle.NEWTRUE: _plain(lambda: True),
    pickle.NEWFALSE: _plain(lambda: False),
    pickle.EMPTY_LIST: lambda machine: machine._push_object([]),
    pickle.EMPTY_TUPLE: _plain(tuple),
    pickle.EMPTY_DICT: lambda machine: machine._push_object({}),
    pickle.EMPTY_SET: lambda machine: machine._push_object(set()),
    pickle.INT: Machine._integer_line,
    pickle.LONG: Machine._integer_line,
    pickle.BININT: lambda machine: machine._push(machine.source.number("<i")),
    pickle.BININT1: lambda machine: machine._push(machine.source.number("<B")),
    pickle.BININT2: lambda machine: machine._push(machine.source.number("<H")),
    pickle.BINFLOAT: lambda machine: machine._push(machine.source.number(">d")),
    pickle.LONG1: lambda machine: machine._integer("<B"),
    pickle.LONG4: lambda machine: machine._integer("<i"),
    pickle.FLOAT: lambda machine: machine._push(float(machine.source.short_line())),
    pickle.STRING: Machine._old_text_line,
    pickle.BINSTRING: lambda machine: machine._old_text("<i"),
    pickle.SHORT_BINSTRING: lambda machine: machine._old_text("<B"),
    pickle.UNICODE: Machine._text_line,
    pickle.BINUNICODE: lambda machine: machine._text("<I"),
    pickle.SHORT_BINUNICODE: lambda machine: machine._text("<B"),
    pickle.BINUNICODE8: lambda machine: machine._text("<Q"),
    pickle.BINBYTES: lambda machine: machine._bytes("<I"),
    pickle.SHORT_BINBYTES: lambda machine: machine._bytes("<B"),
    pickle.BINBYTES8: lambda machine: machine._bytes("<Q"),
    pickle.BYTEARRAY8: lambda machine: machine._bytes("<Q"),
    pickle.LIST: lambda machine: machine._push_object(machine._marked()),
    pickle.TUPLE: lambda machine: machine._push(tuple(machine._marked())),
    pickle.TUPLE1: lambda machine: machine._tuple(1),
    pickle.TUPLE2: lambda machine: machine._tuple(2),
    pickle.TUPLE3: lambda machine: machine._tuple(3),
    pickle.DICT: Machine._dict,
    pickle.FROZENSET: lambda machine: machine._push_object(
        frozenset(map(as_key, machine._marked()))
    ),
    pickle.APPEND: lambda machine: machine._append([machine._pop()]),
    pickle.APPENDS: lambda machine: machine._append(machine._marked()),
    pickle.SETITEM: Machine._one_item,
    pickle.SETITEMS: lambda machine: machine._set_items(machine._marked()),
    pickle.ADDITEMS: Machine._add_items,
    pickle.GET: lambda machine: machine._get(int(machine.source.short_line())),
    pickle.PUT: lambda machine: machine._put(int(machine.source.short_line())),
    pickle.BINGET: lambda machine: machine._get(machine.source.number("<B")),
    pickle.LONG_BINGET: lambda machine: machine._get(machine.source.number("<I")),
    pickle.BINPUT: lambda machine: machine._put(machine.source.number("<B")),
    pickle.LONG_BINPUT: lambda machine: machine._put(machine.source.number("<I")),
    pickle.MEMOIZE: lambda machine: machine._put(len(machine._memo)),
    pickle.GLOBAL: Machine._global,
    pickle.STACK_GLOBAL: Machine._global_of_stack,
    pickle.REDUCE: Machine._reduce,
    pickle.BUILD: Machine._build,
    pickle.NEWOBJ: lambda machine: machine._object([machine._pop(), machine._pop()]),
    pickle.NEWOBJ_EX: lambda machine: machine._object([machine._pop() for _ in range(3)]),
    pickle.OBJ: lambda machine: machine._object(machine._marked()),
    pickle.INST: Machine._instance,
    pickle.PERSID: lambda machine: machine._persistent_id(machine.source.short_line()),
    pickle.BINPERSID: lambda machine: machine._persistent_id(machine._pop()),
}
