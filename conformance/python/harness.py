"""Runs steps and prints one JSON line for each."""

import contextlib
import inspect
import json
import os
from typing import Any, Callable, Iterator


class Steps:
    def __init__(self, client: str, version: str) -> None:
        self.client = client
        self.version = version
        self.failed = 0
        self.methods: set[str] = set()

    async def step(self, method: str, name: str, run: Callable[[], Any]) -> None:
        """Runs one step of a method. What `run` returns is the line's detail."""
        self.methods.add(method)
        try:
            detail = run()
            if inspect.isawaitable(detail):
                detail = await detail
            self._print(method, name, True, detail)
        except Exception as error:
            self.failed += 1
            self._print(method, name, False, f"{type(error).__name__}: {error}")

    def not_yet(self, method: str, reason: str) -> None:
        """A method the local stack has no counterpart for yet."""
        self.methods.add(method)
        self._print(method, "not yet", None, reason)

    def _print(self, method: str, step: str, ok: bool | None, detail: Any) -> None:
        line = {"client": self.client, "version": self.version, "method": method, "step": step, "ok": ok}
        print(json.dumps({**line, "detail": "" if detail is None else str(detail)}), flush=True)


def equal(actual: Any, expected: Any) -> None:
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


def true(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)


async def fails(run: Callable[[], Any], kind: type[BaseException], text: str | None = None) -> BaseException:
    """Demands that `run` raises this very kind of exception, with this text when one is given."""
    try:
        value = run()
        if inspect.isawaitable(value):
            value = await value
    except BaseException as error:
        if type(error) is not kind:
            raise AssertionError(f"{type(error).__name__} is not {kind.__name__}: {error}") from error
        if text is not None:
            equal(str(error), text)
        return error
    raise AssertionError(f"it should have failed, but gave {value!r}")


def rest_error(*errors: tuple[str, str]) -> str:
    """The text of the SDK's exception for these errors of the org: pairs of code and message."""
    texts = "\n---\n".join(f"{code} error:\n{message}" for code, message in errors)
    return f"Salesforce REST API reported the following error(s):\n---\n{texts}"


@contextlib.contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """The environment with these values; None removes one."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
