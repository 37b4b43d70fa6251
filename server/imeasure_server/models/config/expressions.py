"""The ``$`` expressions of MONAI bundles, of which the harmless ones are worked out here: nothing is ever evaluated.

MONAI runs such an expression as Python code. Here it is parsed, and only literals, references, arithmetic, comparisons,
a few functions of numbers and sequences, and the names of types, devices and enumerations of torch, numpy and MONAI are
understood. Everything else is refused with the reason.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from imeasure_server.models.config.problems import ConfigError

DEVICE = "device"
"""What every expression for a device becomes; the worker knows its own."""
MAX_LENGTH = 10_000
MAX_EXPRESSION = 2000
REFERENCE = re.compile(r"@(?:::)?[A-Za-z_][\w#]*(?:(?:::|#)[\w#]+)*")

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "bool": bool,
    "len": len,
    "max": max,
    "min": min,
    "sum": sum,
    "abs": abs,
    "round": round,
    "list": list,
    "tuple": tuple,
    "sorted": sorted,
}
_TYPES = re.compile(
    r"(?:torch|np|numpy)\.(float16|float32|float64|u?int8|int16|int32|int64|bool|half|float|long|bfloat16)"
)
_ENUMERATION = re.compile(r"monai\.utils(?:\.enums)?\.[A-Z]\w+\.([A-Z_]+)")
_DEVICE_CALLS = frozenset({"torch.device"})
_AVAILABILITY = frozenset({"torch.cuda.is_available", "torch.backends.mps.is_available"})
_SAME_THING = frozenset({"to", "eval", "cuda", "cpu", "float"})

Resolve = Callable[[str], Any]


def evaluate(expression: str, resolve: Resolve, where: str) -> Any:
    """The value of an expression without its ``$``.

    Args:
        expression: as in a bundle; ``@a::b`` in it is what ``resolve`` says of ``a::b``.
        resolve: gives the value of a reference.
        where: of the expression in the config.

    Raises:
        ConfigError: it is not one of those that are understood.
    """
    if len(expression) > MAX_EXPRESSION:
        raise ConfigError(where, "The expression is too long.")
    references: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        name = f"reference_{len(references)}_"
        references[name] = match.group()[1:].removeprefix("::")
        return name

    source = REFERENCE.sub(placeholder, expression.strip())
    try:
        tree = ast.parse(source, mode="eval")
        return _Evaluation(references, resolve, where).value(tree.body)
    except ConfigError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(where, f"{_shown(expression)} is no expression that is understood here.") from error
    except (TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise ConfigError(where, f"{_shown(expression)} has no value ({type(error).__name__}).") from error


class _Evaluation:
    def __init__(self, references: Mapping[str, str], resolve: Resolve, where: str) -> None:
        self._references = references
        self._resolve = resolve
        self._where = where

    def value(self, node: ast.expr) -> Any:
        handler = getattr(self, f"_{type(node).__name__.lower()}", None)
        if handler is None:
            raise self._refusal(node)
        return self._bounded(handler(node))

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in self._references:
            return self._resolve(self._references[node.id])
        raise self._refusal(node)

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.value(item) for item in node.elts)

    def _list(self, node: ast.List) -> Any:
        return [self.value(item) for item in node.elts]

    def _dict(self, node: ast.Dict) -> Any:
        if None in node.keys:
            raise self._refusal(node)
        return {
            self.value(key): self.value(item)
            for key, item in zip(node.keys, node.values, strict=True)
            if key is not None
        }

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        return self._operator(node.op)(self.value(node.operand))

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.Mult):
            for items, count in ((left, right), (right, left)):
                if isinstance(items, (str, list, tuple)) and isinstance(count, int) and len(items) * count > MAX_LENGTH:
                    raise self._refusal(node)
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            raise self._refusal(node)  # "%99999999d" fills the memory
        return self._operator(node.op)(left, right)

    def _boolop(self, node: ast.BoolOp) -> Any:
        result: Any = None
        for item in node.values:
            result = self.value(item)
            if bool(result) is isinstance(node.op, ast.Or):
                break
        return result

    def _compare(self, node: ast.Compare) -> Any:
        left = self.value(node.left)
        for kind, item in zip(node.ops, node.comparators, strict=True):
            right = self.value(item)
            if not self._operator(kind)(left, right):
                return False
            left = right
        return True

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.value(node.value)[self.value(node.slice)]

    def _slice(self, node: ast.Slice) -> Any:
        return slice(*(None if part is None else self.value(part) for part in (node.lower, node.upper, node.step)))

    def _attribute(self, node: ast.Attribute) -> Any:
        path = _dotted(node)
        if path is not None and (match := _TYPES.fullmatch(path)) is not None:
            return {"half": "float16", "float": "float32", "long": "int64"}.get(match.group(1), match.group(1))
        if path is not None and (match := _ENUMERATION.fullmatch(path)) is not None:
            return match.group(1).lower()
        raise self._refusal(node)

    def _call(self, node: ast.Call) -> Any:
        path = _dotted(node.func)
        if path in _DEVICE_CALLS:
            return DEVICE
        if path in _AVAILABILITY:
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SAME_THING:
            return self.value(node.func.value)  # @network_def.to(@device): where it goes is the worker's affair
        if path not in _FUNCTIONS or node.keywords:
            raise self._refusal(node)
        return _FUNCTIONS[path](*(self.value(item) for item in node.args))

    def _operator(self, kind: ast.AST) -> Callable[..., Any]:
        if type(kind) not in _OPERATORS:
            raise ConfigError(self._where, f"The operator {type(kind).__name__} is not understood in expressions.")
        return _OPERATORS[type(kind)]

    def _bounded(self, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
            raise ConfigError(self._where, "A number in the expression is too large.")
        if isinstance(value, (str, list, tuple)) and len(value) > MAX_LENGTH:
            raise ConfigError(self._where, "A list in the expression is too long.")
        return value

    def _refusal(self, node: ast.AST) -> ConfigError:
        shown = _shown(ast.unparse(node))
        return ConfigError(
            self._where, f"The expression {shown} would run code, which a config cannot do here; write its value."
        )


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _shown(text: str) -> str:
    return f"`{text if len(text) <= 80 else text[:77] + '...'}`"
