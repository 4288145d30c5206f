"""Functions by their names: those that others have the code of, and handlers, which this process has."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, Unpack, cast, overload

from . import _json
from ._codec import Codec, codec, hints_of
from ._errors import InvalidError
from ._described import CallOptions, DispatchOptions, FunctionOptions

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
C = TypeVar("C")
Self = TypeVar("Self", bound="Function[..., Any]")


class UseOptions(DispatchOptions, CallOptions, total=False):
    """What may be said when a function is dispatched or called. Some hold for one of the two; the library checks."""


class Function(Generic[P, R]):
    """A function by its name: it may be dispatched and called, whoever has its code, in whatever language.

    `stent.Function("invoices.send")` is one whose arguments and result nobody declared.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.use: UseOptions = {}

    def options(self: Self, **options: Unpack[UseOptions]) -> Self:
        """The same function, dispatched or called with these options: `ctx.call(charge.options(timeout="5s"), 42)`."""
        other = copy.copy(self)
        other.use = {**self.use, **options}
        return other

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> Request[R]:
        """The function with its arguments; for `dispatch_many`."""
        return request(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<stent {type(self).__name__.lower()} {self.name!r}>"


class Request(Generic[R]):
    """A function, its options and its arguments: what `Function.bind` makes."""

    def __init__(self, function: Function[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs

    @property
    def args_text(self) -> str:
        return _json.dumps(list(self.args))

    @property
    def text(self) -> str:
        """All of it, as one of many."""
        options = self.options_text or "{}"
        return f'{{"function":{_json.dumps(self.function.name)},"args":{self.args_text},"options":{options}}}'

    @property
    def options_text(self) -> str | None:
        """None where nothing was said."""
        use = self.function.use
        return _json.dumps_options(use, self.kwargs) if use or self.kwargs else None


class Handler(Function[P, R]):
    """A function whose code is here: `@stent.durable` or `@stent.activity`."""

    def __init__(self, body: Callable[..., Any], name: str | None, registration: FunctionOptions) -> None:
        super().__init__(name or body.__name__)
        self.body = body
        self.registration = registration
        self.is_async = inspect.iscoroutinefunction(body)
        self.is_method = False
        """The body wants an object first, and there is none."""
        self._is_named = name is not None
        self._learned: object = None
        functools.update_wrapper(cast(Any, self), body)

    def learn(self) -> None:
        """Makes the classes of its type hints known to the program's codec. InvalidError: one of them can't be carried."""
        known = codec()
        if self._learned is known or not isinstance(known, Codec):
            return
        for name, hint in self._values().items():
            known.learn(hint)
            kind = known.misfit(hint)
            if kind is not None:
                what = "its result" if name == "return" else f"its parameter {name}"
                raise InvalidError(
                    f"{self.name}: {what} is a {kind.__qualname__}, which has no place in JSON; make the class known by "
                    f"stent.codec().register({kind.__name__}, write=…, read=…), or use another"
                )
        self._learned = known

    def _values(self) -> dict[str, Any]:
        """The type hints of what it is given, and gives."""
        return hints_of(self.body)


class Activity(Handler[P, R]):
    """Does one thing in the world outside. Called directly it is the plain function. As a method it is an activity of each
    object: `executor.worker(mailer.send)` has one's code, `ctx.call(Mailer.send, "ada")` calls whichever has it.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.is_method = True
        if not self._is_named:
            self.name = f"{owner.__name__}.{name}"

    @overload
    def __get__(self: Activity[Concatenate[C, Q], R], instance: None, owner: type) -> Function[Q, R]: ...
    @overload
    def __get__(self: Activity[Concatenate[C, Q], R], instance: C, owner: type | None = None) -> Activity[Q, R]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        bound = copy.copy(self)
        bound.body = self.body.__get__(instance, owner)
        bound.is_method = False
        return bound

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.body(*args, **kwargs)


class Durable(Handler[P, R]):
    """Calls other functions, sleeps and waits, and goes on after a crash. Its first parameter is the context."""

    def __call__(self, context: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.body(context, *args, **kwargs)

    def _values(self) -> dict[str, Any]:
        hints = super()._values()
        hints.pop(next(iter(inspect.signature(self.body).parameters), ""), None)  # the context
        return hints


class _ActivityDecorator:
    """Options first: `@stent.activity(queue="mail")`."""

    def __init__(self, name: str | None, options: FunctionOptions) -> None:
        self._name = name
        self._options = options

    @overload
    def __call__(self, body: Callable[P, Coroutine[Any, Any, R]]) -> Activity[P, R]: ...
    @overload
    def __call__(self, body: Callable[P, R]) -> Activity[P, R]: ...
    def __call__(self, body: Callable[..., Any]) -> Activity[..., Any]:
        return Activity(body, self._name, self._options)


class _DurableDecorator:
    """Options first: `@stent.durable(version="2")`."""

    def __init__(self, name: str | None, options: FunctionOptions) -> None:
        self._name = name
        self._options = options

    @overload
    def __call__(self, body: Callable[Concatenate[C, P], Coroutine[Any, Any, R]]) -> Durable[P, R]: ...
    @overload
    def __call__(self, body: Callable[Concatenate[C, P], R]) -> Durable[P, R]: ...
    def __call__(self, body: Callable[..., Any]) -> Durable[..., Any]:
        return Durable(body, self._name, self._options)


@overload
def activity(body: Callable[P, Coroutine[Any, Any, R]], /) -> Activity[P, R]: ...
@overload
def activity(body: Callable[P, R], /) -> Activity[P, R]: ...
@overload
def activity(*, name: str | None = None, **options: Unpack[FunctionOptions]) -> _ActivityDecorator: ...
def activity(
    body: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Unpack[FunctionOptions]
) -> Activity[..., Any] | _ActivityDecorator:
    """Makes a function an activity: it does one thing, it may be tried again, and its result is recorded once.

    It may be `async def` (it runs on the event loop) or `def` (it runs on a thread). `name` is what it is called by
    (default: its own name); the options are those of a function: queue, tags, priority, retry_policy, timeout,
    version, max_concurrent, max_concurrent_per_key, rate, rate_per_key, cached, cache_ttl, idempotent, cleanup.
    """
    return _ActivityDecorator(name, options) if body is None else Activity(body, name, options)


@overload
def durable(body: Callable[Concatenate[C, P], Coroutine[Any, Any, R]], /) -> Durable[P, R]: ...
@overload
def durable(body: Callable[Concatenate[C, P], R], /) -> Durable[P, R]: ...
@overload
def durable(*, name: str | None = None, **options: Unpack[FunctionOptions]) -> _DurableDecorator: ...
def durable(
    body: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Unpack[FunctionOptions]
) -> Durable[..., Any] | _DurableDecorator:
    """Makes a function durable: it calls others, sleeps and waits by its context, its first parameter, and after a
    crash it goes on from what is recorded. Between those operations it must do the same in every run.

    `async def` is for `stent.Executor`, `def` for `stent.sync.Executor`. `name` and the options are as for `activity`.
    """
    return _DurableDecorator(name, options) if body is None else Durable(body, name, options)


def request(function: Function[..., Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request[Any]:
    if isinstance(function, str):
        function = Function(function)
    if not isinstance(function, Function):
        raise InvalidError(f"{function!r} is no function of Stent: use its name, or @stent.activity or @stent.durable")
    if isinstance(function, Handler):
        function.learn()
    return Request(function, args, kwargs)


def checked(handler: Handler[..., Any]) -> Handler[..., Any]:
    """For programs that no type checker has seen."""
    if not isinstance(handler, Handler):
        raise InvalidError(f"{handler!r} is no handler: decorate it with @stent.activity or @stent.durable")
    if handler.is_method:
        raise InvalidError(f"{handler.name} is a method of a class: register that of an object, as in `worker(mailer.send)`")
    handler.learn()
    return handler
