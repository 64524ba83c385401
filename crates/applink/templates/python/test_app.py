import asyncio
import json
import unittest
from types import SimpleNamespace
from typing import Any

import app


class Accounts(unittest.TestCase):
    def test_they_are_those_of_the_calling_user(self) -> None:
        async def query(soql: str) -> Any:
            self.assertIn("FROM Account", soql)
            return SimpleNamespace(records=[{"Id": "001A", "Name": "Acme"}])

        listed = asyncio.run(app.list_accounts(query))
        self.assertEqual(listed, {"accounts": [{"id": "001A", "name": "Acme"}]})

    def test_a_path_that_is_none(self) -> None:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(app.app({"method": "GET", "path": "/nothing"}, None, send))
        self.assertEqual(sent[0]["status"], 404)
        self.assertIn("error", json.loads(sent[1]["body"]))


if __name__ == "__main__":
    unittest.main()
