"""The app behind the mesh (app.py): a call-out of the org with callbacks, end to end."""

import json
import pathlib
import urllib.error
import urllib.request

import heroku_applink as sdk

from harness import Steps, equal, true
from stack import Stack

CALL_OUT = pathlib.Path(__file__).parents[2] / "call-out"
SERVICE = "Conformance"


async def run(steps: Steps, stack: Stack) -> None:
    sales = stack.username("sales")

    async def publish() -> None:
        spec, options = str(CALL_OUT / "api-spec.yaml"), ["--metadata-dir", str(CALL_OUT)]
        await stack.applink("publish", spec, "--client-name", SERVICE, "--connection-name", "acme", *options)
        for permission_set in (SERVICE, "ConformancePermissions"):
            await stack.applink("org", "permsets", "assign", permission_set, "--on-behalf-of", sales)

    await steps.step("integration: call-out", "published into the org", publish)

    async def invoke() -> str:
        found = await sdk.get_authorization(stack.admin)
        result = await found.data_api.query("SELECT Id FROM Opportunity")
        await found.connection.close()
        body = json.dumps({"opportunityIds": [record.get("Id") for record in result.records]})
        operation = f"{SERVICE}.provisionServices"
        output = await stack.applink(
            "invoke", operation, "--as", sales, "--body", body, "--wait-callbacks", "2", "--json"
        )
        answer, *callbacks = _documents(output)
        equal((answer["status"], answer["body"]["username"]), (201, sales))
        equal(answer["body"]["requestId"], answer["request_id"])
        equal(answer["body"]["opportunitiesVisible"], 4)
        equal(answer["body"]["parametersRead"], 4)
        equal([callback["body"]["status"] for callback in callbacks], ["started", "completed"])
        for callback in callbacks:
            equal((callback["username"], callback["session_ok"]), (sales, True))
            equal(callback["body"]["jobId"], answer["body"]["jobId"])
        services = callbacks[1]["body"]["services"]
        true(services, "there are services")
        return f"{len(services)} services, {len(callbacks)} callbacks"

    await steps.step("integration: call-out", "invoked with callbacks, as the calling user", invoke)

    def past_the_org() -> None:
        request = urllib.request.Request(f"{stack.dev['mesh_url']}/api/provisionServices", data=b"{}")
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
        except urllib.error.HTTPError as error:
            equal(error.code, 401)
        else:
            raise AssertionError("it was let through")

    await steps.step("integration: call-out", "called past the org: refused by the mesh", past_the_org)


def _documents(output: str) -> list[dict]:
    """The CLI prints the answer over several lines and then each callback on one."""
    end = output.index("\n}\n") + 3
    return [json.loads(output[:end]), *(json.loads(line) for line in output[end:].splitlines() if line)]
