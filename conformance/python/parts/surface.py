"""Compares what was exercised with what the SDK exports, so that nothing is forgotten when a new version brings more."""

import inspect

import heroku_applink as sdk
from heroku_applink.data_api import DataAPI

from harness import Steps, equal, true
from stack import Stack

# Plain data, seen in every other step.
DATA = {"RecordQueryResult"}


async def run(steps: Steps, _stack: Stack) -> None:
    def compare() -> str:
        exported = [name for export in [*sdk.__all__, "DataAPI"] for name in _members(export)]
        true(len(exported) > 20, f"only {len(exported)} names were found")
        equal([name for name in exported if name not in steps.methods], [])
        return f"{len(exported)} names"

    await steps.step("the whole SDK", "every export and every method had its step", compare)


def _members(export: str) -> list[str]:
    value = DataAPI if export == "DataAPI" else getattr(sdk, export)
    if export in DATA:
        return []
    if not inspect.isclass(value):
        return [export]
    members = [name for name, member in vars(value).items() if not name.startswith("_") and _is_method(member)]
    inherited = [name for name in ("get",) if hasattr(value, name) and name not in members]
    return [f"{export}.{name}" for name in members + inherited] or [export]


def _is_method(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, (classmethod, staticmethod))
