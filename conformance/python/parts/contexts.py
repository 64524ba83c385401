"""What an app does with a request from the org, without the org: the header is made here. The genuine one is
parsed by the app behind the mesh (integrations.py)."""

import asyncio
import base64
import json
from typing import Any

import heroku_applink as sdk

from harness import Steps, equal, fails
from stack import Stack

REQUEST = "conformance-request"


async def run(steps: Steps, stack: Stack) -> None:
    found = await sdk.get_authorization(stack.admin)
    header = _header(found)
    await steps.step("get_client_context", "outside of a request", lambda: _no_context())
    await _from_header(steps, found, header, stack)
    await _asgi(steps, header, stack)
    await _wsgi(steps, header, stack)
    await found.connection.close()


def _header(found: sdk.Authorization, **changes: Any) -> str:
    context = {
        "requestId": REQUEST,
        "accessToken": found.org.user_auth.access_token,
        "apiVersion": found.org.api_version,
        "namespace": None,
        "orgId": found.org.id,
        "orgDomainUrl": found.org.instance_url,
        "userContext": {"userId": found.org.user_auth.user_id, "username": found.org.user_auth.username},
        **changes,
    }
    return base64.b64encode(json.dumps(context).encode()).decode()


async def _no_context() -> None:
    await fails(sdk.get_client_context, ValueError, "No client context found")


async def _username(context: sdk.ClientContext) -> str:
    result = await context.data_api.query(f"SELECT Username FROM User WHERE Id = '{context.org.user.id}'")
    return result.records[0].get("Username")


async def _from_header(steps: Steps, found: sdk.Authorization, header: str, stack: Stack) -> None:
    context = sdk.ClientContext.from_header(header, found.connection)

    async def fields() -> None:
        equal((context.request_id, context.namespace), (REQUEST, None))
        equal((context.org.id, context.org.domain_url), (stack.dev["org_id"], stack.dev["org_url"]))
        equal(context.org.user.username, stack.username("admin"))
        equal(context.access_token, found.org.user_auth.access_token)
        equal(await _username(context), stack.username("admin"))

    await steps.step("ClientContext.from_header", "every field and a query as the caller", fields)

    async def no_user() -> None:
        broken = _header(found, userContext={})
        await fails(lambda: sdk.ClientContext.from_header(broken, found.connection), KeyError, "'userId'")

    await steps.step("ClientContext.from_header", "without a user", no_user)

    async def set_and_get() -> None:
        sdk.set_client_context(context)
        equal(sdk.get_client_context(), context)

    # In a task of its own, so that the context is gone afterwards.
    await steps.step("set_client_context", "is what get_client_context gives", lambda: asyncio.create_task(set_and_get()))


async def _asgi(steps: Steps, header: str, stack: Stack) -> None:
    seen: list[Any] = []

    async def app(scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(await _username(sdk.get_client_context()))
        else:
            seen.append(scope["type"])

    middleware = sdk.IntegrationAsgiMiddleware(app, config=sdk.Config(request_timeout=30))
    method = "IntegrationAsgiMiddleware"

    async def request() -> None:
        headers = [(b"x-client-context", header.encode()), (b"x-request-id", b"r-1")]
        await middleware({"type": "http", "headers": headers}, None, None)
        equal(seen.pop(), stack.username("admin"))

    await steps.step(method, "a request", lambda: asyncio.create_task(request()))

    async def lifespan() -> None:
        await middleware({"type": "lifespan"}, None, None)
        equal(seen.pop(), "lifespan")

    await steps.step(method, "what is no request", lifespan)

    async def no_header() -> None:
        run = lambda: middleware({"type": "http", "headers": []}, None, None)
        await fails(run, ValueError, "x-client-context not set")

    await steps.step(method, "a request without the header", no_header)
    await middleware.connection.close()


async def _wsgi(steps: Steps, header: str, stack: Stack) -> None:
    def app(environ: dict, start_response: Any) -> list[bytes]:
        return [asyncio.run(_answer()).encode()]

    async def _answer() -> str:
        context = sdk.get_client_context()
        username = await _username(context)
        await middleware.connection.close()
        return username

    middleware = sdk.IntegrationWsgiMiddleware(app)
    method = "IntegrationWsgiMiddleware"

    async def request() -> None:
        environ = {"HTTP_X_CLIENT_CONTEXT": header, "HTTP_X_REQUEST_ID": "r-2"}
        answer = await asyncio.to_thread(middleware, environ, None)
        equal(answer, [stack.username("admin").encode()])

    await steps.step(method, "a request", request)

    async def no_header() -> None:
        await fails(lambda: middleware({}, None), ValueError, "x-client-context not set")

    await steps.step(method, "a request without the header", no_header)
