"""Goes through every function and method of the official Python SDK against a running `applink dev`.

It reads the stack from the environment (see stack.py), prints one JSON line per step and exits with 1 when a step
failed. `cargo xtask test python-sdk` starts both.
"""

import asyncio
import importlib.metadata
import sys

from harness import Steps
from parts import authorizations, contexts, data, integrations, surface, unit_of_work
from stack import Stack

PARTS = [authorizations, data, unit_of_work, contexts, integrations, surface]


async def main() -> int:
    steps = Steps("heroku_applink", importlib.metadata.version("heroku_applink"))
    stack = Stack.of_environment()
    for part in PARTS:
        await part.run(steps, stack)
    return 0 if steps.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
