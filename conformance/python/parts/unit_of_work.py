"""Several changes that happen together or not at all."""

import heroku_applink as sdk
from heroku_applink.data_api import exceptions

from harness import Steps, equal, fails, rest_error
from stack import Stack

HALTED = (
    "PROCESSING_HALTED",
    "The transaction was rolled back since another operation in the same transaction failed.",
)


async def run(steps: Steps, stack: Stack) -> None:
    found = await sdk.get_authorization(stack.admin)
    api = found.data_api

    async def count(name: str) -> int:
        return (await api.query(f"SELECT COUNT() FROM Account WHERE Name = '{name}'")).total_size

    account = lambda **fields: sdk.Record(type="Account", fields=fields)
    old, gone = [await api.create(account(Name=name)) for name in ("Old unit", "Gone unit")]
    unit = sdk.UnitOfWork()
    ids: dict[str, sdk.ReferenceId] = {}

    def create() -> None:
        ids["account"] = unit.register_create(account(Name="New unit"))
        fields = {"LastName": "Unit", "AccountId": ids["account"]}
        ids["contact"] = unit.register_create(sdk.Record(type="Contact", fields=fields))

    def update() -> None:
        ids["updated"] = unit.register_update(account(Id=old, Name="Renamed unit"))

    def delete() -> None:
        ids["deleted"] = unit.register_delete("Account", gone)

    await steps.step("UnitOfWork.register_create", "a record, and one that refers to it", create)
    await steps.step("UnitOfWork.register_update", "an existing record", update)
    await steps.step("UnitOfWork.register_delete", "an existing record", delete)
    await steps.step("ReferenceId", "names the operation", lambda: equal(ids["account"].id, "referenceId0"))

    async def commit() -> None:
        results = await api.commit_unit_of_work(unit)
        equal(len(results), 4)
        equal((results[ids["updated"]], results[ids["deleted"]]), (old, gone))
        contact = results[ids["contact"]]
        result = await api.query(f"SELECT AccountId, Account.Name FROM Contact WHERE Id = '{contact}'")
        equal(result.records[0].get("Account").get("Name"), "New unit")
        equal(result.records[0].get("AccountId"), results[ids["account"]])
        equal([await count(name) for name in ("Renamed unit", "Old unit", "Gone unit")], [1, 0, 0])

    await steps.step("DataAPI.commit_unit_of_work", "create, refer, update and delete", commit)

    async def halted() -> None:
        unit = sdk.UnitOfWork()
        unit.register_create(account(Name="Halted unit"))
        unit.register_create(sdk.Record(type="Contact", fields={"FirstName": "No last name"}))
        text = rest_error(HALTED, ("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]"))
        await fails(lambda: api.commit_unit_of_work(unit), exceptions.SalesforceRestApiError, text)
        equal(await count("Halted unit"), 0)

    await steps.step("DataAPI.commit_unit_of_work", "one of two fails: neither happens, and both are told", halted)

    async def empty() -> None:
        equal(await api.commit_unit_of_work(sdk.UnitOfWork()), {})

    await steps.step("DataAPI.commit_unit_of_work", "nothing registered", empty)
    await found.connection.close()
