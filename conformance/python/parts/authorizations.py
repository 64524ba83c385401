"""Looking up credentials: every way to name the add-on, every way to name the authorization, every refusal.

The SDK resolves each name of an attachment once per process, so each step that changes the environment has an
attachment of its own.
"""

import datetime
import os
import uuid

import aiohttp
import heroku_applink as sdk

from harness import Steps, environment, equal, fails, true
from stack import Stack


async def run(steps: Steps, stack: Stack) -> None:
    await _without_app_id(steps, stack)
    await _found(steps, stack)
    await _named_otherwise(steps, stack)
    await _refused_here(steps)
    await _refused_by_the_server(steps, stack)
    await _parts(steps, stack)


async def _without_app_id(steps: Steps, stack: Stack) -> None:
    async def step() -> None:
        with environment(HEROKU_APP_ID=None):
            await fails(lambda: sdk.get_authorization(stack.integration), OSError, "HEROKU_APP_ID is not set")

    await steps.step("get_authorization", "without HEROKU_APP_ID", step)


async def _found(steps: Steps, stack: Stack) -> None:
    async def by_default() -> str:
        found = await sdk.get_authorization(stack.integration)
        org = found.org
        equal(found.status, "authorized")
        equal(str(uuid.UUID(found.id)), found.id)
        equal((org.id, org.instance_url, org.type), (stack.dev["org_id"], stack.dev["org_url"], "SalesforceOrg"))
        equal(org.developer_name, stack.integration)
        true(org.api_version.endswith(".0") and org.api_version[0].isdigit(), org.api_version)
        equal(org.user_auth.username, stack.username("integration"))
        true(org.user_auth.user_id.startswith("005"), org.user_auth.user_id)
        true(org.user_auth.access_token.startswith(stack.dev["org_id"][:15] + "!"), "the token begins with the org id")
        equal(found.data_api.access_token, org.user_auth.access_token)
        equal(found.created_via_app, stack.dev["app_name"])
        true(found.created_by and found.last_modified_by, "who made and changed it is told")
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        for time in (found.created_at, found.last_modified_at):
            true(abs((now - time).total_seconds()) < 600, f"{time} is about now, in UTC")
        return f"{org.user_auth.username}, {found.status}"

    await steps.step("get_authorization", "by the default attachment, every field", by_default)

    async def with_config() -> None:
        found = await sdk.Authorization.find(stack.integration, None, sdk.Config(request_timeout=30))
        equal(found.org.id, stack.dev["org_id"])

    await steps.step("Authorization.find", "with a configuration", with_config)


async def _named_otherwise(steps: Steps, stack: Stack) -> None:
    url, token = os.environ["HEROKU_APPLINK_API_URL"], os.environ["HEROKU_APPLINK_TOKEN"]
    colours = {"HEROKU_APPLINK_BLUE_API_URL": url, "HEROKU_APPLINK_BLUE_TOKEN": token}
    staging = {"STAGING_PINK_API_URL": url + "/", "STAGING_PINK_TOKEN": token, "HEROKU_APPLINK_ADDON_NAME": "STAGING"}
    cases = [
        ("by attachment name", stack.integration, "HEROKU_APPLINK_BLUE", colours, "integration"),
        ("by colour", stack.integration, "blue", colours, "integration"),
        ("by colour below HEROKU_APPLINK_ADDON_NAME, with a slash at the end", stack.integration, "pink", staging,
         "integration"),
        ("by API URL", stack.integration, url, {}, "integration"),
        ("by API URL in capitals", stack.integration, url.upper(), {}, "integration"),
        ("by alias", stack.admin_alias, None, {}, "admin"),
        ("by the default alias", f"applink:{stack.integration}", None, {}, "integration"),
        ("a stored user by another name", stack.admin, None, {}, "admin"),
    ]
    for name, developer_name, where, variables, role in cases:

        async def step() -> None:
            with environment(**variables):
                found = await sdk.Authorization.find(developer_name, where)
            equal(found.org.user_auth.username, stack.username(role))

        await steps.step("Authorization.find", name, step)


async def _refused_here(steps: Steps) -> None:
    def looked_for(name: str) -> str:
        key = name.upper()
        return (
            f"Heroku Applink config not found for '{name}'. Looked for {key}_API_URL / {key}_TOKEN and "
            f"HEROKU_APPLINK_{key}_API_URL / HEROKU_APPLINK_{key}_TOKEN"
        )

    half = {"HALF_API_URL": "http://127.0.0.1:9/half"}
    nowhere = "Heroku Applink config not found for API URL: http://127.0.0.1:9/none"
    cases = [
        ("an empty name", "", None, ValueError, "Developer name must be provided", {}),
        ("an unknown attachment", "x", "GREEN", OSError, looked_for("GREEN"), {}),
        ("an unknown API URL", "x", "http://127.0.0.1:9/none", OSError, nowhere, {}),
        ("an API URL without a token", "x", half["HALF_API_URL"], OSError,
         f"Missing token for API URL: {half['HALF_API_URL']}", half),
    ]
    for name, developer_name, where, kind, text, variables in cases:

        async def step() -> str:
            with environment(**variables):
                return str(await fails(lambda: sdk.Authorization.find(developer_name, where), kind, text))

        await steps.step("Authorization.find", name, step)


async def _refused_by_the_server(steps: Steps, stack: Stack) -> None:
    url, token = os.environ["HEROKU_APPLINK_API_URL"], os.environ["HEROKU_APPLINK_TOKEN"]
    stranger = url.replace(stack.dev["addon_id"], str(uuid.uuid4()))
    cases = [
        ("an unknown name", "RED1", url, token, {}, 404, "Not Found"),
        ("a wrong token", "RED2", url, "wrong", {}, 401, "Unauthorized"),
        ("another app's id", "RED3", url, token, {"HEROKU_APP_ID": str(uuid.uuid4())}, 403, "Forbidden"),
        ("an unknown add-on", "RED4", stranger, token, {}, 404, "Not Found"),
    ]
    for name, attachment, api_url, api_token, variables, status, reason in cases:

        async def step() -> str:
            with environment(**{f"{attachment}_API_URL": api_url, f"{attachment}_TOKEN": api_token}, **variables):
                developer_name = "nobody" if status == 404 else stack.integration
                error = await fails(
                    lambda: sdk.Authorization.find(developer_name, attachment), aiohttp.ClientResponseError
                )
            equal((error.status, error.message), (status, reason))
            return f"{error.status} {error.message}"

        await steps.step("Authorization.find", name, step)

    async def nobody_listens() -> None:
        with environment(RED5_API_URL="http://127.0.0.1:9/addons/x", RED5_TOKEN="t"):
            await fails(lambda: sdk.Authorization.find("x", "RED5"), aiohttp.ClientConnectorError)

    await steps.step("Authorization.find", "nobody listens", nobody_listens)


async def _parts(steps: Steps, stack: Stack) -> None:
    await steps.step("Config.default", "its timeout", lambda: equal(sdk.Config.default().request_timeout, 5))
    agent = f"heroku-applink-python-sdk/{steps.version}"
    await steps.step("Config.user_agent", "names the SDK", lambda: equal(sdk.Config.default().user_agent(), agent))

    async def request() -> str:
        found = await sdk.get_authorization(stack.admin)
        url = f"{found.org.instance_url}/services/data/v{found.org.api_version}/limits"
        headers = {"Authorization": f"Bearer {found.org.user_auth.access_token}"}
        response = await found.connection.request("GET", url, headers=headers)
        equal(response.status, 200)
        limits = await response.json()
        true(limits["DailyApiRequests"]["Max"] > 0, str(limits))
        return response.headers["Sforce-Limit-Info"]

    await steps.step("Connection.request", "another resource of the org", request)

    async def unauthorised() -> None:
        found = await sdk.get_authorization(stack.admin)
        url = f"{found.org.instance_url}/services/data/v{found.org.api_version}/limits"
        response = await found.connection.request("GET", url)
        equal(response.status, 401)
        equal((await response.json())[0]["errorCode"], "INVALID_SESSION_ID")

    await steps.step("Connection.request", "without a token", unauthorised)

    async def close() -> None:
        found = await sdk.get_authorization(stack.admin)
        await found.connection.close()
        await found.data_api.query("SELECT COUNT() FROM Campaign")
        await found.connection.close()

    await steps.step("Connection.close", "and use again", close)

    def top_level_exceptions() -> str:
        # The SDK exports these two names, but raises those of data_api.exceptions.
        true(issubclass(sdk.ClientError, Exception), "ClientError")
        true(issubclass(sdk.UnexpectedRestApiResponsePayload, Exception), "UnexpectedRestApiResponsePayload")
        return "exported, never raised by the SDK"

    for name in ("ClientError", "UnexpectedRestApiResponsePayload"):
        await steps.step(name, "the exported name", top_level_exceptions)
