"""A small app on the official SDK: called by the org, it answers at once, provisions afterwards and reports by
callback, all as the calling user. It is an ASGI app with the SDK's middleware, run by the little server below."""

import asyncio
import json
import os
import re
import uuid
from typing import Any

import heroku_applink as sdk

JOBS: set[asyncio.Task[None]] = set()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = json.loads((await receive())["body"] or b"null")
    if (scope["method"], scope["path"]) != ("POST", "/api/provisionServices"):
        return await _send(send, 404, {"error": "not found"})
    context = sdk.get_client_context()
    opportunities = await _visible(context, body["opportunityIds"])
    parameters = await context.data_api.query("SELECT Name__c, Value__c FROM ProvisioningParameter__mdt")
    job = str(uuid.uuid4())
    answer = {
        "jobId": job,
        "requestId": context.request_id,
        "username": context.org.user.username,
        "opportunitiesVisible": len(opportunities),
        "parametersRead": parameters.total_size,
    }
    await _send(send, 201, answer)
    if body.get("callbackUrl"):
        task = asyncio.create_task(_provision(context, job, opportunities, body["callbackUrl"]))
        JOBS.add(task)
        task.add_done_callback(JOBS.discard)


async def _send(send: Any, status: int, content: dict[str, Any]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


async def _visible(context: sdk.ClientContext, ids: list[str]) -> list[sdk.QueriedRecord]:
    quoted = ", ".join(f"'{record_id}'" for record_id in ids if re.fullmatch("[A-Za-z0-9]{15,18}", record_id))
    items = "(SELECT Id, Product2.Name, Quantity FROM OpportunityLineItems)"
    result = await context.data_api.query(f"SELECT Id, Name, {items} FROM Opportunity WHERE Id IN ({quoted})")
    return result.records


async def _provision(
    context: sdk.ClientContext, job: str, opportunities: list[sdk.QueriedRecord], callback_url: str
) -> None:
    await _report(context, callback_url, {"jobId": job, "status": "started", "services": []})
    items = [
        item
        for opportunity in opportunities
        if (found := opportunity.sub_query_results.get("OpportunityLineItems"))
        for item in found.records
    ]
    services = [
        {"lineItemId": item.get("Id"), "message": f"{item.get('Quantity')} × {item.get('Product2').get('Name')} runs."}
        for item in items
    ]
    await _report(context, callback_url, {"jobId": job, "status": "completed", "services": services})


async def _report(context: sdk.ClientContext, callback_url: str, status: dict[str, Any]) -> None:
    connection = sdk.Connection(sdk.Config.default())
    headers = {"Authorization": f"Bearer {context.access_token}", "Content-Type": "application/json"}
    response = await connection.request("POST", callback_url, headers=headers, data=json.dumps(status))
    response.raise_for_status()
    await connection.close()


async def _serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One HTTP/1.1 request and its answer; the connection ends with it."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
        method, path, _version = head[0].split(" ")
        headers = [tuple(line.split(": ", 1)) for line in head[1:] if line]
        headers = [(name.lower().encode("latin1"), value.encode("latin1")) for name, value in headers]
        body = await _body(reader, dict(headers))
        await _answer({"type": "http", "method": method, "path": path, "headers": headers}, body, writer)
    except asyncio.IncompleteReadError:
        pass  # somebody only looked whether we listen
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, headers: dict[bytes, bytes]) -> bytes:
    if headers.get(b"transfer-encoding") != b"chunked":
        return await reader.readexactly(int(headers.get(b"content-length", b"0")))
    body = b""
    while length := int(await reader.readline(), 16):
        body += await reader.readexactly(length)
        await reader.readline()
    await reader.readline()
    return body


async def _answer(scope: dict[str, Any], body: bytes, writer: asyncio.StreamWriter) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            lines = [f"HTTP/1.1 {message['status']} -".encode(), b"connection: close"]
            lines += [name + b": " + value for name, value in message["headers"]]
            writer.write(b"\r\n".join(lines) + b"\r\n")
        else:
            content = message["body"]
            writer.write(b"content-length: %d\r\n\r\n" % len(content) + content)
            await writer.drain()

    await MIDDLEWARE(scope, receive, send)


async def main() -> None:
    global MIDDLEWARE
    MIDDLEWARE = sdk.IntegrationAsgiMiddleware(app)
    server = await asyncio.start_server(_serve_one, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
