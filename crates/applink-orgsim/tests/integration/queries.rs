//! SOQL over the sample data: shapes, conditions, order, groups, errors.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::data::{BASE, Data};

#[test]
fn the_provisioning_query_answers_opportunities_with_their_line_items() {
    let data = Data::new();
    let won =
        data.column("sales", "SELECT Id FROM Opportunity WHERE StageName = 'Closed Won' ORDER BY Name", "Id");
    let ids: Vec<String> = won.iter().map(|id| format!("'{}'", id.as_str().unwrap())).collect();
    let answer = data.query(
        "sales",
        &format!(
            "
  SELECT Id, Name, AccountId, CloseDate, StageName, Amount,
         (SELECT Id, Product2Id, Product2.Name, Quantity, UnitPrice, PricebookEntryId FROM OpportunityLineItems)
  FROM Opportunity
  WHERE Id IN ({})",
            ids.join(",")
        ),
    );
    assert_eq!(answer["totalSize"], 2);
    assert_eq!(answer["done"], true);
    let first = &answer["records"][0];
    let id = first["Id"].as_str().unwrap();
    assert_eq!(
        first["attributes"],
        json!({"type": "Opportunity", "url": format!("{BASE}/sobjects/Opportunity/{id}")})
    );
    let items = &first["OpportunityLineItems"];
    assert_eq!(items["done"], true);
    assert_eq!(items["totalSize"], items["records"].as_array().unwrap().len());
    let item = &items["records"][0];
    assert_eq!(item["attributes"]["type"], "OpportunityLineItem");
    assert_eq!(item["Product2"]["attributes"]["type"], "Product2");
    assert_eq!(item["Product2"]["Name"], "Edge Gateway 100");
    assert_eq!(item["Quantity"], json!(4.0));
    let total: f64 = items["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["Quantity"].as_f64().unwrap() * item["UnitPrice"].as_f64().unwrap())
        .sum();
    assert_eq!(first["Amount"].as_f64(), Some(total), "an opportunity's amount is the sum of its items");
}

#[test]
fn the_campaign_query_answers_newest_first() {
    let data = Data::new();
    let starts = data.column(
        "integration",
        "\n      SELECT Id, Name, Status, Type, StartDate, EndDate, Description\n      FROM Campaign\n      ORDER BY StartDate DESC\n    ",
        "StartDate",
    );
    let mut sorted = starts.clone();
    sorted.sort_by(|a, b| b.as_str().cmp(&a.as_str()));
    assert_eq!(starts.len(), 5);
    assert_eq!(starts, sorted);
}

#[test]
fn names_come_back_in_their_canonical_casing() {
    let data = Data::new();
    let answer = data
        .query("admin", "select id, account.owner.username from OPPORTUNITY where NAME like 'nordwind t%'");
    let record = &answer["records"][0];
    let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["attributes", "Id", "Account"]);
    assert_eq!(record["attributes"]["type"], "Opportunity");
    assert_eq!(record["Account"]["Owner"]["Username"], "sales@acme.example");
    assert_eq!(record["Account"]["Owner"]["attributes"]["type"], "User");
}

#[test]
fn a_missing_parent_is_null_and_no_children_are_null() {
    let data = Data::new();
    data.insert("Account", json!({"Name": "Lonely", "OwnerId": data.user_id("admin")}));
    let answer = data
        .query("admin", "SELECT Parent.Name, (SELECT Id FROM Contacts) FROM Account WHERE Name = 'Lonely'");
    assert_eq!(answer["records"][0]["Parent"], Value::Null);
    assert_eq!(answer["records"][0]["Contacts"], Value::Null);
}

#[test]
fn conditions_select_what_they_say() {
    let data = Data::new();
    let count = |condition: &str| data.count("admin", &format!("SELECT Id FROM Account WHERE {condition}"));
    for (condition, expected) in [
        ("Name = 'NORDWIND ENERGY'", 1),
        ("Name != 'Nordwind Energy'", 6),
        ("Industry <> null", 7),
        ("Site = null", 7),
        ("Site = ''", 7),
        ("Site != 'x'", 7),
        ("NOT (AnnualRevenue > 50000000)", 3),
        ("AnnualRevenue >= 84000000 AND AnnualRevenue < 2e8", 2),
        ("Name LIKE '%en%'", 4),
        ("Name LIKE 'o\\'dwyer%'", 1),
        ("Name LIKE '%\\_%'", 0),
        ("Industry IN ('Energy', 'Retail')", 2),
        ("Industry NOT IN ('Energy', 'Retail')", 5),
        ("Site NOT IN ('x')", 7),
        ("(Industry = 'Energy' OR Industry = 'Retail') AND BillingCity = 'Kiel'", 1),
        ("Owner.Username = 'sales@acme.example'", 4),
        ("Account.Name = 'Nordwind Energy'", 1),
        ("Id IN (SELECT AccountId FROM Opportunity WHERE StageName = 'Closed Won')", 3),
        ("Id NOT IN (SELECT AccountId FROM Opportunity)", 0),
        ("CreatedDate = TODAY", 7),
        ("CreatedDate < TODAY", 0),
        ("CreatedDate >= 2026-03-10T13:00:00+01:00", 7),
        ("CreatedDate > 2026-03-10T12:00:00Z", 0),
        ("CALENDAR_YEAR(CreatedDate) = 2026", 7),
        ("IsDeleted = false", 7),
    ] {
        assert_eq!(count(condition), expected, "{condition}");
    }
}

#[test]
fn ids_match_in_both_lengths() {
    let data = Data::new();
    let id = data.id_of("Account", "ExternalId__c", "A-001");
    let short = id.get(..15).unwrap();
    for written in [id.as_str(), short, &id.to_lowercase()] {
        assert_eq!(
            data.count("admin", &format!("SELECT Id FROM Account WHERE Id = '{written}'")),
            1,
            "{written}"
        );
    }
    let (code, message) = data.refused("admin", "SELECT Id FROM Account WHERE Id = 'nonsense'");
    assert_eq!(code, "INVALID_QUERY_FILTER_OPERATOR");
    assert!(message.ends_with("invalid ID field: nonsense"), "{message}");
}

#[test]
fn relative_dates_and_days_compare() {
    let data = Data::new();
    let count =
        |condition: &str| data.count("admin", &format!("SELECT Id FROM Opportunity WHERE {condition}"));
    // Closing in days from today: -12, -3, 21, 45, -20, 90, -60, 120; today is 2026-03-10.
    for (condition, expected) in [
        ("CloseDate = LAST_N_DAYS:15", 2),
        ("CloseDate < TODAY", 4),
        ("CloseDate = NEXT_N_DAYS:30", 1),
        ("CloseDate = THIS_QUARTER", 5),
        ("CloseDate != THIS_QUARTER", 3),
        ("CloseDate = 2026-03-07", 1),
        ("CloseDate IN (2026-03-07, LAST_MONTH)", 3),
        ("FiscalQuarter = 1 AND FiscalYear = 2026", 5),
    ] {
        assert_eq!(count(condition), expected, "{condition}");
    }
}

#[test]
fn order_limit_and_offset() {
    let data = Data::new();
    let names =
        data.column("admin", "SELECT Name FROM Account ORDER BY AnnualRevenue DESC LIMIT 2 OFFSET 1", "Name");
    assert_eq!(names, ["Quellwerk Utilities", "Nordwind Energy"]);
    data.insert("Account", json!({"Name": "No revenue", "OwnerId": data.user_id("admin")}));
    let first = |order: &str| {
        data.column(
            "admin",
            &format!("SELECT Name FROM Account ORDER BY AnnualRevenue {order} LIMIT 1"),
            "Name",
        )
    };
    assert_eq!(first("ASC"), ["No revenue"], "nulls come first unless told");
    assert_eq!(first("DESC"), ["No revenue"]);
    assert_eq!(first("DESC NULLS LAST"), ["Hafen Logistik"]);
    let (code, _) = data.refused("admin", "SELECT Id FROM Account OFFSET 2001");
    assert_eq!(code, "NUMBER_OUTSIDE_VALID_RANGE");
}

#[test]
fn counts_and_groups() {
    let data = Data::new();
    let counted = data.query("admin", "SELECT COUNT() FROM Opportunity WHERE IsWon = true");
    assert_eq!(counted, json!({"totalSize": 3, "done": true, "records": []}));
    let groups = data.query(
        "admin",
        "SELECT Owner.Username, COUNT(Id) deals, SUM(Amount), COUNT_DISTINCT(AccountId), MIN(CloseDate) FROM Opportunity \
         GROUP BY Owner.Username HAVING COUNT(Id) > 1 ORDER BY COUNT(Id) DESC",
    );
    assert_eq!(groups["totalSize"], 2);
    let first = &groups["records"][0];
    assert_eq!(first["attributes"], json!({"type": "AggregateResult"}));
    assert_eq!((&first["Username"], &first["deals"]), (&json!("sales@acme.example"), &json!(4)));
    assert!(first["expr0"].is_f64() && first["expr1"].is_i64(), "{first}");
    assert_eq!(first["expr2"], "2026-02-26");
    let (code, message) = data.refused("admin", "SELECT Name, COUNT(Id) FROM Opportunity GROUP BY StageName");
    assert_eq!(code, "MALFORMED_QUERY");
    assert!(message.ends_with("Field must be grouped or aggregated: Name"), "{message}");
}

#[test]
fn all_fields_need_a_limit() {
    let data = Data::new();
    let record = &data.query("admin", "SELECT FIELDS(ALL) FROM Product2 LIMIT 1")["records"][0];
    assert!(record["ProductCode"].is_string() && record["SystemModstamp"].is_string());
    assert_eq!(data.refused("admin", "SELECT FIELDS(ALL) FROM Product2").0, "MALFORMED_QUERY");
    let custom = &data.query("admin", "SELECT FIELDS(CUSTOM) FROM Account LIMIT 1")["records"][0];
    assert_eq!(custom.as_object().unwrap().len(), 3, "attributes, Id, ExternalId__c: {custom}");
    assert_eq!(
        data.count("admin", "SELECT FIELDS(STANDARD), ExternalId__c FROM Account WITH SECURITY_ENFORCED"),
        7
    );
}

#[test]
fn errors_have_salesforce_s_words() {
    let data = Data::new();
    assert_eq!(
        data.refused("admin", "SELEKT"),
        ("MALFORMED_QUERY".into(), "unexpected token: SELEKT".into())
    );
    let (code, message) = data.refused("admin", "SELECT Bacon__c FROM Account LIMIT 2");
    assert_eq!(code, "INVALID_FIELD");
    assert_eq!(
        message,
        "\nSELECT Bacon__c FROM Account LIMIT 2\n       ^\nERROR at Row:1:Column:8\nNo such column 'Bacon__c' on entity \
         'Account'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. \
         Please reference your WSDL or the describe call for the appropriate names."
    );
    for (soql, code, end) in [
        ("SELECT Id FROM Foo", "INVALID_TYPE", "describe call for the appropriate names."),
        ("SELECT Foo.Name FROM Contact", "INVALID_FIELD", "describe call for the appropriate names."),
        (
            "SELECT (SELECT Id FROM Foos) FROM Account",
            "INVALID_TYPE",
            "describe call for the appropriate names.",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 5",
            "INVALID_FIELD",
            "must be of type string and should be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue = '5'",
            "INVALID_FIELD",
            "must be of type double and should not be enclosed in quotes",
        ),
        (
            "SELECT Id FROM Account WHERE Id LIKE '001%'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid operator on id field",
        ),
        (
            "SELECT Id FROM Account WHERE Description = 'x'",
            "INVALID_FIELD",
            "field 'Description' can not be filtered in a query call",
        ),
        ("SELECT Id, Id FROM Account", "MALFORMED_QUERY", "duplicate field selected: Id"),
        ("SELECT Name n FROM Account", "MALFORMED_QUERY", "only aggregate expressions use field aliasing: n"),
        ("SELECT Id FROM Account WHERE COUNT(Id) > 1", "MALFORMED_QUERY", "not allowed in WHERE; use HAVING"),
        ("SELECT Id FROM Account ORDER BY COUNT(Id)", "MALFORMED_QUERY", "needs a query that is grouped"),
        ("SELECT Id FROM Account HAVING COUNT(Id) > 1", "MALFORMED_QUERY", "HAVING needs GROUP BY"),
        (
            "SELECT COUNT(Id) FROM Account GROUP BY Name ORDER BY Site",
            "MALFORMED_QUERY",
            "must be grouped or aggregated: Site",
        ),
        (
            "SELECT SUM(Name) FROM Account",
            "INVALID_FIELD",
            "field Name does not support aggregate operator SUM",
        ),
        (
            "SELECT Id FROM Account WHERE Industry INCLUDES ('x')",
            "INVALID_QUERY_FILTER_OPERATOR",
            "only valid on multipicklist field",
        ),
    ] {
        let (found, message) = data.refused("admin", soql);
        assert_eq!(found, code, "{soql}: {message}");
        assert!(message.ends_with(end), "{soql}: {message}");
    }
}

#[test]
fn text_compares_without_case_in_any_alphabet() {
    let data = Data::new();
    data.insert("Account", json!({"Name": "Müller Käse", "OwnerId": data.user_id("admin")}));
    for condition in ["Name = 'MÜLLER KÄSE'", "Name LIKE '%KÄ__'", "Name IN ('müller käse')"] {
        assert_eq!(
            data.count("admin", &format!("SELECT Id FROM Account WHERE {condition}")),
            1,
            "{condition}"
        );
    }
}

#[test]
fn a_scope_narrows_to_one_s_own() {
    let data = Data::new();
    assert_eq!(data.count("sales", "SELECT Id FROM Account USING SCOPE mine"), 4);
    assert_eq!(data.count("sales", "SELECT Id FROM Account USING SCOPE everything"), 7);
    assert_eq!(data.refused("sales", "SELECT Id FROM Account USING SCOPE team").0, "MALFORMED_QUERY");
}

#[test]
fn aliases_name_the_queried_object() {
    let data = Data::new();
    let soql =
        "SELECT a.Name, a.Owner.Username FROM Account AS a WHERE a.Name LIKE 'Nordwind%' ORDER BY a.Name";
    let record = &data.query("sales", soql)["records"][0];
    assert_eq!(
        (&record["Name"], &record["Owner"]["Username"]),
        (&json!("Nordwind Energy"), &json!("sales@acme.example"))
    );
}

#[test]
fn long_lists_and_chains_are_within_what_the_database_takes() {
    let data = Data::new();
    let values: Vec<&str> = vec!["7"; 45_000];
    let listed = format!("SELECT Id FROM Account WHERE NumberOfEmployees IN ({})", values.join(","));
    assert_eq!(data.count("admin", &listed), 0);
    let chain: Vec<&str> = vec!["Name != 'x'"; 5_000];
    assert_eq!(data.count("admin", &format!("SELECT Id FROM Account WHERE {}", chain.join(" AND "))), 7);
}

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "ORDER BY",
    "GROUP BY",
    "HAVING",
    "LIMIT 3",
    "OFFSET 1",
    "(",
    ")",
    ",",
    "AND",
    "OR",
    "NOT",
    "=",
    "!=",
    "<",
    "LIKE",
    "IN",
    "Id",
    "Name",
    "Amount",
    "CloseDate",
    "CreatedDate",
    "IsWon",
    "Account.Name",
    "OwnerId",
    "Owner.Profile.Name",
    "Opportunity",
    "Account",
    "Opportunities",
    "Contacts",
    "Task",
    "What.Name",
    "'x'",
    "5",
    "null",
    "true",
    "2026-01-01",
    "TODAY",
    "COUNT(Id)",
    "COUNT()",
    "SUM(Amount)",
    "MAX(CloseDate)",
    "CALENDAR_YEAR(CloseDate)",
    "FIELDS(ALL)",
    "(SELECT Id FROM Contacts)",
    "(SELECT Id FROM Account)",
    "DESC",
    "NULLS LAST",
    "toLabel(StageName)",
    "WHERE Amount > 5",
    "WHERE CloseDate = TODAY",
    "WHERE AccountId IN (SELECT Id FROM Account)",
    "GROUP BY StageName",
    "GROUP BY Account.Name",
    "HAVING COUNT(Id) > 1",
    "ORDER BY Amount",
    "ORDER BY COUNT(Id)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_asked_is_answered_or_the_query_s_fault(
        queries in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "Id", "Name", "COUNT(Id)", "COUNT()", "Id, Amount", "StageName, SUM(Amount)", "FIELDS(ALL)",
                    "Account.Name, MAX(CloseDate) m", "Id, (SELECT Id FROM OpportunityLineItems)",
                ]),
                prop::collection::vec(prop::sample::select(WORDS), 0..8),
            ),
            40,
        ),
    ) {
        static DATA: std::sync::LazyLock<Data> = std::sync::LazyLock::new(Data::new);
        for (selected, words) in queries {
            let soql = format!("SELECT {selected} FROM Opportunity {}", words.join(" "));
            if let Err(error) = DATA.query_as(&DATA.caller("sales"), &soql) {
                prop_assert_eq!(error.status, 400, "{}: {}", soql, error);
            }
        }
    }
}

#[test]
fn text_of_a_query_never_becomes_sql() {
    let data = Data::new();
    let hostile = "x\\' OR 1=1 --";
    assert_eq!(data.count("intern", &format!("SELECT Id FROM Opportunity WHERE Name = '{hostile}'")), 0);
    assert_eq!(data.count("intern", "SELECT Id FROM Opportunity WHERE Name = '\" OR \"1\"=\"1'"), 0);
    assert_eq!(
        data.refused("intern", "SELECT Id FROM Opportunity WHERE Name = 'x' OR 1=1").0,
        "MALFORMED_QUERY"
    );
}
