//! An add-on with very much in it: as SQL for SQLite and PostgreSQL, because row by row it would take minutes.

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// Connections `conn_00001` and on, each to an org of its own; every hundredth is dead.
    pub connections: u32,
    /// Authorizations `auth_00001` and on.
    pub authorizations: u32,
    /// Publications `Client00001` and on, one through each connection, with one deploy each. Not more than connections.
    pub publications: u32,
    /// Events of the last day: most of them tokens handed out.
    pub events: u32,
    /// Invocations of the last day.
    pub invocations: u32,
}

/// Whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The add-on's uuid.
    pub addon: &'a str,
    /// Its app's.
    pub app: &'a str,
    /// Microseconds UTC.
    pub now: i64,
    /// The database's: PostgreSQL writes an empty blob in its own way.
    pub is_postgres: bool,
}

/// Who does things in the log.
const ACTOR: &str = "00000000-0000-4000-9000-000000000001";
/// Where the log has it.
const SEGMENT: &str = "00000000-0000-4000-9000-000000000002";

impl Many {
    /// Statements to run one after the other.
    pub fn statements(&self, owner: &Owner<'_>) -> Vec<String> {
        vec![
            self.credentials(owner, "connection", "conn", "1", self.connections),
            self.credentials(owner, "authorization", "auth", "2", self.authorizations),
            self.publications(owner),
            self.deploys(owner),
            format!(
                "INSERT INTO audit_actors (id, kind, name) VALUES ('{ACTOR}', 'app', 'large-app (HEROKU_APPLINK)')"
            ),
            segment(owner),
            self.events(owner),
            self.invocations(owner),
        ]
    }

    fn credentials(&self, owner: &Owner<'_>, kind: &str, name: &str, group: &str, count: u32) -> String {
        let Owner { addon, now, .. } = owner;
        let id = id(group);
        let padded = padded();
        let dead = "i % 100 = 0";
        let values = format!(
            "{id}, '{addon}', 0, '{kind}', '{name}_' || {padded}, '{name}_' || {padded}, 'SalesforceOrg', \
             CASE WHEN {dead} THEN 'dead' ELSE 'live' END, 'oauth', 'https://login.salesforce.com', \
             '00DSB00000' || {padded} || '2AA', 'https://org' || {padded} || '.my.salesforce.com', \
             '005SB00000' || {padded} || '2AA', 'integration' || {padded} || '@acme.example', '66.0', \
             CASE WHEN {dead} THEN 'reauth_required' END, CASE WHEN {dead} THEN 'The org ended the grant: reconnect it.' END, \
             {now}, 'dev@acme.example', {now}, 'dev@acme.example'"
        );
        let columns = "id, addon_id, fence, kind, name, name_key, org_type, state, method, login_url, org_id, instance_url, \
                       user_id, username, api_version, error_id, error_message, created_at, created_by, last_modified_at, \
                       last_modified_by";
        insert("credentials", columns, &values, count)
    }

    fn publications(&self, owner: &Owner<'_>) -> String {
        let Owner { addon, app, now, .. } = owner;
        let (publication, connection, padded) = (id("3"), id("1"), padded());
        let later = now + 10 * 86_400_000_000;
        let values = format!(
            "{publication}, '{addon}', {connection}, '{app}', 'Client' || {padded}, 'client' || {padded}, \
             '00DSB00000' || {padded} || '2AA', 'x', '[]', {now}, 'dev@acme.example', {now}, 'dev@acme.example', 0, {later}"
        );
        let columns = "id, addon_id, connection_id, app_id, client, client_key, org_id, published_hash, components, created_at, \
                       created_by, last_modified_at, last_modified_by, fence, check_due_at";
        insert("publications", columns, &values, self.publications)
    }

    fn deploys(&self, owner: &Owner<'_>) -> String {
        let Owner { addon, now, is_postgres, .. } = owner;
        let (deploy, publication, connection) = (id("4"), id("3"), id("1"));
        let blob = if *is_postgres { "CAST('' AS BYTEA)" } else { "x''" };
        let values = format!(
            "{deploy}, '{addon}', {publication}, {connection}, 0, 1, 'published', 0, 'x', 'yaml', {blob}, '[]', \
             '{{\"components\":[]}}', {now}, 'dev@acme.example', {now}, 'publish', '[]'"
        );
        let columns = "id, addon_id, publication_id, connection_id, fence, number, state, attempts, hash, document_format, \
                       document, origins, outcome, requested_at, requested_by, finished_at, kind, uses";
        insert("publication_deploys", columns, &values, self.publications)
    }

    fn events(&self, owner: &Owner<'_>) -> String {
        let Owner { addon, now, .. } = owner;
        let subjects = self.authorizations.max(1);
        let subject = id("2").replace("+ i", &format!("+ 1 + i % {subjects}"));
        let values = format!(
            "'{SEGMENT}', i, {now} - (i % 86000) * 1000000, '{ACTOR}', \
             CASE WHEN i % 10 = 0 THEN 'grant.refreshed' ELSE 'authorization.handed_out' END, '{addon}', {subject}, \
             '=event ' || CAST(i AS TEXT), '', ''"
        );
        let columns = "segment, seq, at, actor, action, addon_id, subject, detail, prev_mac, mac";
        insert("audit_rows", columns, &values, self.events)
    }

    fn invocations(&self, owner: &Owner<'_>) -> String {
        let Owner { addon, app, now, .. } = owner;
        let (call, padded) = (id("5"), padded());
        let values = format!(
            "{call}, '{addon}', '{app}', {now} - (i % 86000) * 1000000, 'request-' || CAST(i AS TEXT), \
             '00DSB00000' || {padded} || '2AA', '005SB000000000001A', 'op', 'accepted', 200, 300, 1000 * (i % 500)"
        );
        let columns = "id, addon_id, app_id, at, request_id, org_id, user_id, operation, verdict, status, mesh_micros, app_micros";
        insert("invocations", columns, &values, self.invocations)
    }
}

fn insert(table: &str, columns: &str, values: &str, count: u32) -> String {
    format!(
        "INSERT INTO {table} ({columns}) WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         SELECT {values} FROM n WHERE i <= {count}"
    )
}

/// What the events are in. It has ended, so that nobody closes it.
fn segment(owner: &Owner<'_>) -> String {
    let now = owner.now;
    format!(
        "INSERT INTO audit_segments (id, process, master_key_id, opened_at, closed_at) VALUES ('{SEGMENT}', 'many', '', {now}, {now})"
    )
}

/// The uuid of the `i`th row of a group.
fn id(group: &str) -> String {
    format!("'0000000{group}-0000-4000-8000-' || SUBSTR(CAST(1000000000000 + i AS TEXT), 2)")
}

/// Five digits.
fn padded() -> String {
    "SUBSTR(CAST(100000 + i % 100000 AS TEXT), 2)".to_owned()
}
