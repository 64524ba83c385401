"""Called by the org, through the mesh: everything here runs with the calling user's own rights."""

import json
from typing import Any, Awaitable, Callable

SOQL = "SELECT Id, Name FROM Account ORDER BY Name LIMIT 50"


async def list_accounts(query: Callable[[str], Awaitable[Any]]) -> dict[str, Any]:
    result = await query(SOQL)
    accounts = [{"id": record.get("Id"), "name": record.get("Name")} for record in result.records]
    return {"accounts": accounts}


ROUTES = {("GET", "/accounts"): list_accounts}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An ASGI app; the SDK's middleware around it knows who calls."""
    route = ROUTES.get((scope["method"], scope["path"]))
    if route is None:
        return await answer(send, 404, {"error": "there is no such path"})
    import heroku_applink as sdk

    await answer(send, 200, await route(sdk.get_client_context().data_api.query))


async def answer(send: Any, status: int, content: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
