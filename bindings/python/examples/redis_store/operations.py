"""Operations are functions of a transaction; their parameters are the members of the request."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

import stent

from .transaction import Transaction

F = TypeVar("F", bound=Callable[..., Any])


class Operation:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        fields = [(parameter.name.removesuffix("_"), parameter.annotation) for parameter in parameters]
        self.request = msgspec.defstruct(function.__name__, fields, forbid_unknown_fields=True)

    def __call__(self, tx: Transaction, request: str) -> str:
        read = msgspec.json.decode(request, type=self.request)
        answer = self.function(tx, *(getattr(read, name) for name in read.__struct_fields__))
        return msgspec.json.encode(answer).decode()


OPERATIONS: dict[str, Operation] = {}


def operation(function: F) -> F:
    OPERATIONS[function.__name__.removesuffix("_")] = Operation(function)
    return function


def unknown(what: str, id: str) -> stent.NotFoundError:
    return stent.NotFoundError(f"there is no {what} {id}; its id is wrong, or it has been cleaned up")
