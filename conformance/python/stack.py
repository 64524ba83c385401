"""The running stack, as the environment describes it:

- HEROKU_APPLINK_API_URL, HEROKU_APPLINK_TOKEN, HEROKU_APP_ID, as every app has them;
- APPLINK_DEV, the line `applink dev --json` printed;
- APPLINK_BIN, the applink program;
- CONFORMANCE_ADMIN and CONFORMANCE_ADMIN_ALIAS, an authorization of the org's admin and its alias.
"""

import asyncio
import dataclasses
import json
import os
from typing import Any


@dataclasses.dataclass(frozen=True)
class Stack:
    dev: dict[str, Any]
    binary: str
    admin: str
    admin_alias: str
    integration: str = "influencerPortal"

    @classmethod
    def of_environment(cls) -> "Stack":
        return cls(
            dev=json.loads(os.environ["APPLINK_DEV"]),
            binary=os.environ["APPLINK_BIN"],
            admin=os.environ["CONFORMANCE_ADMIN"],
            admin_alias=os.environ["CONFORMANCE_ADMIN_ALIAS"],
        )

    def username(self, role: str) -> str:
        return next(user["username"] for user in self.dev["users"] if user["role"] == role)

    async def applink(self, *words: str) -> str:
        """Runs an applink command: what it wrote to standard output."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(self.binary, *words, stdout=pipe, stderr=pipe)
        output, errors = await process.communicate()
        if process.returncode != 0:
            raise AssertionError(f"applink {' '.join(words)}: {errors.decode()}")
        return output.decode()
