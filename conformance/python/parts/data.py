"""Records and queries."""

import datetime

import heroku_applink as sdk
from heroku_applink.data_api import exceptions
from heroku_applink.data_api import DataAPI

from harness import Steps, equal, fails, rest_error, true
from stack import Stack

# More than one batch of a query, which is 2,000 records.
MANY = 2_001
AT_ONCE = 200


async def run(steps: Steps, stack: Stack) -> None:
    found = await sdk.get_authorization(stack.admin)
    await _queries(steps, found, stack)
    await _pages(steps, found)
    await _refused_queries(steps, found)
    await _records(steps, found.data_api)
    await _refused_records(steps, found.data_api)
    await _far_away(steps, found)
    await _files(steps, found.data_api)
    await found.connection.close()


async def _queries(steps: Steps, found: sdk.Authorization, stack: Stack) -> None:
    query = found.data_api.query

    async def fields() -> None:
        result = await query("SELECT Id, Name, NumberOfEmployees FROM Account WHERE Name = 'Nordwind Energy'")
        equal((result.done, result.total_size, result.next_records_url), (True, 1, None))
        record = result.records[0]
        true(isinstance(record, sdk.QueriedRecord), "a QueriedRecord")
        equal((record.type, record.fields["Name"], record.sub_query_results), ("Account", "Nordwind Energy", {}))

    await steps.step("DataAPI.query", "fields", fields)

    async def gets() -> None:
        record = (await query("SELECT Name, Site FROM Account WHERE Name = 'Nordwind Energy'")).records[0]
        equal((record.get("Name"), record.get("Site")), ("Nordwind Energy", None))
        await fails(lambda: record.get("name"), KeyError)

    await steps.step("QueriedRecord.get", "a field, null, another case", gets)
    await steps.step("Record.get", "a field", lambda: equal(sdk.Record(type="A", fields={"B": 1}).get("B"), 1))

    async def quotes() -> None:
        result = await query("SELECT Name FROM Account WHERE Name = 'O\\'Dwyer Instruments' OR Name = 'A & B+C'")
        equal([record.get("Name") for record in result.records], ["O'Dwyer Instruments"])

    await steps.step("DataAPI.query", "quotes and signs in the query", quotes)

    async def sub_query() -> None:
        result = await query(
            "SELECT Name, Account.Name, (SELECT Product2.Name, Quantity FROM OpportunityLineItems ORDER BY Quantity) "
            "FROM Opportunity WHERE Name = 'Nordwind turbine monitoring'"
        )
        record = result.records[0]
        equal(record.get("Account").get("Name"), "Nordwind Energy")
        items = record.sub_query_results["OpportunityLineItems"]
        equal((items.done, items.total_size, len(items.records)), (True, 3, 3))
        equal(items.records[0].get("Product2").get("Name"), "Gold Support, yearly")

    await steps.step("DataAPI.query", "a parent and a sub-query", sub_query)

    async def counts() -> None:
        result = await query("SELECT COUNT() FROM Campaign", timeout=30)
        equal((result.total_size, result.records), (5, []))

    await steps.step("DataAPI.query", "COUNT(), with a timeout", counts)

    async def aggregate() -> None:
        result = await query("SELECT Status, COUNT(Id) n FROM Campaign WHERE Status = 'Planned' GROUP BY Status")
        equal(result.records[0].type, "AggregateResult")
        equal(result.records[0].fields, {"Status": "Planned", "n": 2})

    await steps.step("DataAPI.query", "an aggregate", aggregate)

    async def other_rights() -> None:
        other = await sdk.get_authorization(stack.integration)
        refusal = await fails(
            lambda: other.data_api.query("SELECT Id FROM Opportunity"), exceptions.SalesforceRestApiError
        )
        equal([error.error_code for error in refusal.api_errors], ["INVALID_TYPE"])
        await other.connection.close()

    await steps.step("DataAPI.query", "as another user: other rights", other_rights)


def _subject(index: int) -> str:
    return f"Page {index:05}"


async def _create_many(found: sdk.Authorization) -> None:
    url = f"{found.org.instance_url}/services/data/v{found.org.api_version}/composite/sobjects"
    headers = {"Authorization": f"Bearer {found.data_api.access_token}", "Content-Type": "application/json"}
    for start in range(0, MANY, AT_ONCE):
        indices = range(start, min(start + AT_ONCE, MANY))
        records = ", ".join(f'{{"attributes": {{"type": "Task"}}, "Subject": "{_subject(i)}"}}' for i in indices)
        body = f'{{"allOrNone": true, "records": [{records}]}}'
        response = await found.connection.request("POST", url, headers=headers, data=body)
        results = await response.json()
        true(all(result["success"] for result in results), str(results[0]))


async def _pages(steps: Steps, found: sdk.Authorization) -> None:
    api = found.data_api
    pages: list[sdk.RecordQueryResult] = []

    async def first() -> str:
        await _create_many(found)
        page = await api.query("SELECT Id, Subject FROM Task WHERE Subject LIKE 'Page %' ORDER BY Subject")
        equal((page.done, page.total_size, len(page.records)), (False, MANY, 2_000))
        true(page.next_records_url.startswith(f"/services/data/v{found.org.api_version}/query/"), page.next_records_url)
        pages.append(page)
        return f"{len(page.records)} of {page.total_size} records"

    await steps.step("DataAPI.query", "the first of two pages", first)

    async def rest() -> None:
        page = await api.query_more(pages[0])
        equal((page.done, page.total_size, page.next_records_url), (True, MANY, None))
        equal([record.get("Subject") for record in page.records], [_subject(MANY - 1)])
        pages.append(page)

    await steps.step("DataAPI.query_more", "the rest", rest)

    async def nothing_more() -> None:
        page = await api.query_more(pages[1])
        equal((page.done, page.records), (True, []))

    await steps.step("DataAPI.query_more", "nothing more", nothing_more)

    async def no_locator() -> None:
        url = f"/services/data/v{found.org.api_version}/query/01gNONE-2000"
        none = sdk.RecordQueryResult(done=False, total_size=1, records=[], next_records_url=url)
        refusal = await fails(lambda: api.query_more(none), exceptions.SalesforceRestApiError)
        equal(refusal.api_errors[0].error_code, "INVALID_QUERY_LOCATOR")

    await steps.step("DataAPI.query_more", "a locator that is none", no_locator)


def _stranger(found: sdk.Authorization, **changes: str) -> DataAPI:
    arguments = {
        "org_domain_url": found.org.instance_url,
        "api_version": found.org.api_version,
        "access_token": found.data_api.access_token,
    }
    return DataAPI(**{**arguments, **changes}, connection=found.connection)


async def _refused_queries(steps: Steps, found: sdk.Authorization) -> None:
    column = (
        "\nSELECT Bacon__c FROM Account LIMIT 2\n       ^\nERROR at Row:1:Column:8\nNo such column 'Bacon__c' on entity "
        "'Account'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field "
        "name. Please reference your WSDL or the describe call for the appropriate names."
    )
    nowhere = ("NOT_FOUND", "The requested resource does not exist")
    session = ("INVALID_SESSION_ID", "Session expired or invalid")
    cases = [
        ("an unknown column", found.data_api, "SELECT Bacon__c FROM Account LIMIT 2", ("INVALID_FIELD", column)),
        ("a query that is none", found.data_api, "SELEKT Name", ("MALFORMED_QUERY", "unexpected token: SELEKT")),
        ("a token that is none", _stranger(found, access_token="00D!none"), "SELECT Id FROM Account", session),
        ("an API version that is none", _stranger(found, api_version="bad"), "SELECT Id FROM Account", nowhere),
    ]
    for name, api, soql, error in cases:

        async def step() -> str:
            text = rest_error(error)
            return str(await fails(lambda: api.query(soql), exceptions.SalesforceRestApiError, text))

        await steps.step("DataAPI.query", name, step)


async def _records(steps: Steps, api: DataAPI) -> None:
    made: list[str] = []

    async def create() -> None:
        fields = {"Name": "Conformance", "NumberOfEmployees": 0, "Site": None}
        made.append(await api.create(sdk.Record(type="Account", fields=fields)))
        result = await api.query(f"SELECT Name, NumberOfEmployees, Site FROM Account WHERE Id = '{made[0]}'")
        equal(result.records[0].fields, fields)

    await steps.step("DataAPI.create", "a record, with zero and null", create)

    async def dates() -> None:
        close = datetime.date(2027, 1, 2)
        fields = {"Name": "Dated", "StageName": "Prospecting", "CloseDate": close, "Amount": 1.5}
        made.append(await api.create(sdk.Record(type="Opportunity", fields=fields)))
        result = await api.query(f"SELECT CloseDate, Amount FROM Opportunity WHERE Id = '{made[1]}'")
        equal(result.records[0].fields, {"CloseDate": "2027-01-02", "Amount": 1.5})

    await steps.step("DataAPI.create", "a record with a date", dates)

    async def update() -> None:
        record = sdk.Record(type="Account", fields={"Id": made[0], "Name": "Renamed"})
        equal(await api.update(record), made[0])
        result = await api.query(f"SELECT Name FROM Account WHERE Id = '{made[0]}'")
        equal(result.records[0].get("Name"), "Renamed")

    await steps.step("DataAPI.update", "a record", update)

    async def delete() -> None:
        equal(await api.delete("Account", made[0]), made[0])
        equal((await api.query(f"SELECT COUNT() FROM Account WHERE Id = '{made[0]}'")).total_size, 0)

    await steps.step("DataAPI.delete", "a record", delete)

    async def delete_again() -> None:
        text = rest_error(("ENTITY_IS_DELETED", "entity is deleted"))
        await fails(lambda: api.delete("Account", made[0]), exceptions.SalesforceRestApiError, text)

    await steps.step("DataAPI.delete", "a deleted record", delete_again)


async def _refused_records(steps: Steps, api: DataAPI) -> None:
    column = "No such column 'FavoritePet__c' on sobject of type Account"
    rating = "Account Rating: bad value for restricted picklist field: Terrible"
    cases = [
        ("an unknown type", "PlayingCard__c", {"Name": "Ace"}, "NOT_FOUND", "The requested resource does not exist", []),
        ("an unknown field", "Account", {"Name": "x", "FavoritePet__c": "Dog"}, "INVALID_FIELD", column, []),
        ("a required field missing", "Account", {"Site": "x"}, "REQUIRED_FIELD_MISSING",
         "Required fields are missing: [Name]", ["Name"]),
        ("a value not in the picklist", "Account", {"Name": "x", "Rating": "Terrible"},
         "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", rating, ["Rating"]),
    ]
    for name, kind, fields, code, message, places in cases:

        async def step() -> None:
            create = lambda: api.create(sdk.Record(type=kind, fields=fields))
            refusal = await fails(create, exceptions.SalesforceRestApiError, rest_error((code, message)))
            equal(refusal.api_errors[0].fields, places)

        await steps.step("DataAPI.create", name, step)

    async def no_id() -> None:
        text = "The 'Id' field is required, but isn't present in the given Record."
        record = sdk.Record(type="Account", fields={"Name": "x"})
        await fails(lambda: api.update(record), exceptions.MissingFieldError, text)

    await steps.step("DataAPI.update", "without an id", no_id)

    async def other_id() -> None:
        text = rest_error(("MALFORMED_ID", "Record ID: id value of incorrect type: a00B000000FSjVUIB1"))
        record = sdk.Record(type="Account", fields={"Id": "a00B000000FSjVUIB1", "Name": "x"})
        await fails(lambda: api.update(record), exceptions.SalesforceRestApiError, text)

    await steps.step("DataAPI.update", "another type's id", other_id)


async def _far_away(steps: Steps, found: sdk.Authorization) -> None:
    async def nobody_listens() -> None:
        api = _stranger(found, org_domain_url="http://127.0.0.1:9")
        error = await fails(lambda: api.query("SELECT Id FROM Account"), exceptions.ClientError)
        start = "An error occurred while making the request: ClientConnectorError: "
        true(str(error).startswith(start), str(error))

    await steps.step("DataAPI.query", "nobody listens", nobody_listens)

    async def no_json() -> None:
        api = _stranger(found, org_domain_url=f"{found.org.instance_url}/nowhere")
        error = await fails(lambda: api.query("SELECT Id FROM Account"), exceptions.UnexpectedRestApiResponsePayload)
        true(str(error).startswith("The server didn't respond with valid JSON: "), str(error))

    await steps.step("DataAPI.query", "an answer that is no JSON", no_json)


async def _files(steps: Steps, api: DataAPI) -> None:
    content = bytes(range(256))
    made: list[str] = []

    async def create() -> None:
        fields = {"Title": "Conformance", "PathOnClient": "conformance.bin", "VersionData": content}
        made.append(await api.create(sdk.Record(type="ContentVersion", fields=fields)))

    await steps.step("DataAPI.create", "a file of every byte", create)

    async def read() -> None:
        result = await api.query(f"SELECT VersionData FROM ContentVersion WHERE Id = '{made[0]}'")
        equal(result.records[0].get("VersionData"), content)

    await steps.step("DataAPI.query", "a file of every byte", read)
